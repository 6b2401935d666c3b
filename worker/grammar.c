/* SPDX-License-Identifier: MIT */
#include "worker/grammar.h"

#include <assert.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define STRING_PARTS                                           \
    {                                                          \
        .open = "\"content\":\"", .close = "\"", .part = "",   \
        .answer_part = "", .part_close = "", .is_joined = true \
    }
#define TEXT_PART "{\"type\":\"text\",\"text\":"

/* clang-format off */
static const struct grammar grammars[] = {
    { .dialect = "responses", .list = "input", .model_role = "assistant",
      .parts = { .open = "\"content\":[", .close = "]",
                 .part = "{\"type\":\"input_text\",\"text\":",
                 .answer_part = "{\"type\":\"output_text\",\"text\":",
                 .part_close = "}" },
      .model = "model",
      /* What is sent there is kept there, if nobody asks for the contrary. */
      .always = "\"store\":false", .unless = "store",
      .format_group = "text",
      .json_object = "\"format\":{\"type\":\"json_object\"}",
      .schema_open = "\"format\":{\"type\":\"json_schema\",",
      .schema_close = "}", .has_schema_members = true,
      .groups = { "reasoning", "text" },
      .moves = { { "temperature", "temperature", NULL, false },
                 { "top_p", "top_p", NULL, false },
                 { "max_tokens", "max_output_tokens", NULL, false },
                 { "max_completion_tokens", "max_output_tokens", NULL, false },
                 { "top_logprobs", "top_logprobs", NULL, false },
                 { "reasoning_effort", "effort", "reasoning", false },
                 { "verbosity", "verbosity", "text", false },
                 { "user", "user", NULL, false },
                 { "metadata", "metadata", NULL, false },
                 { "store", "store", NULL, false },
                 { "service_tier", "service_tier", NULL, false },
                 { "prompt_cache_key", "prompt_cache_key", NULL, false },
                 { "safety_identifier", "safety_identifier", NULL, false } } },
    { .dialect = "anthropic", .list = "messages", .system = "system",
      .model_role = "assistant",
      .parts = { .open = "\"content\":[", .close = "]", .part = TEXT_PART,
                 .answer_part = TEXT_PART, .part_close = "}" },
      .system_open = "\"", .system_close = "\"",
      .model = "model", .limit = "max_tokens",
      .format_group = "output_config",
      .schema_open = "\"format\":{\"type\":\"json_schema\",\"schema\":",
      .schema_close = "}",
      .groups = { "output_config" },
      .moves = { { "temperature", "temperature", NULL, false },
                 { "top_p", "top_p", NULL, false },
                 { "max_tokens", "max_tokens", NULL, false },
                 { "max_completion_tokens", "max_tokens", NULL, false },
                 { "stop", "stop_sequences", NULL, true } } },
    { .dialect = "gemini", .list = "contents", .system = "systemInstruction",
      .model_role = "model",
      .parts = { .open = "\"parts\":[", .close = "]", .part = "{\"text\":",
                 .answer_part = "{\"text\":", .part_close = "}" },
      .system_open = "{\"parts\":[{\"text\":\"",
      .system_close = "\"}]}",
      .format_group = "generationConfig",
      .json_object = "\"responseMimeType\":\"application/json\"",
      .schema_open = "\"responseMimeType\":\"application/json\","
                     "\"responseJsonSchema\":",
      .schema_close = "",
      .groups = { "generationConfig" },
      .moves = { { "temperature", "temperature", "generationConfig", false },
                 { "top_p", "topP", "generationConfig", false },
                 { "max_tokens", "maxOutputTokens", "generationConfig",
                   false },
                 { "max_completion_tokens", "maxOutputTokens",
                   "generationConfig", false },
                 { "stop", "stopSequences", "generationConfig", true },
                 { "seed", "seed", "generationConfig", false },
                 { "frequency_penalty", "frequencyPenalty",
                   "generationConfig", false },
                 { "presence_penalty", "presencePenalty", "generationConfig",
                   false } } },
    { .dialect = "ollama", .list = "messages", .model_role = "assistant",
      .parts = STRING_PARTS, .model = "model",
      .always = "\"stream\":false",
      .json_object = "\"format\":\"json\"",
      .schema_open = "\"format\":", .schema_close = "",
      .groups = { "options" },
      .moves = { { "temperature", "temperature", "options", false },
                 { "top_p", "top_p", "options", false },
                 { "max_tokens", "num_predict", "options", false },
                 { "max_completion_tokens", "num_predict", "options", false },
                 { "stop", "stop", "options", true },
                 { "seed", "seed", "options", false },
                 { "frequency_penalty", "frequency_penalty", "options", false },
                 { "presence_penalty", "presence_penalty", "options",
                   false } } },
    { .dialect = "salesforce", .list = "messages", .model_role = "assistant",
      .parts = STRING_PARTS },
};

static const struct grammar_member members[] = {
    { "audio", NULL, false },
    { "frequency_penalty", "0", false },
    { "function_call", "\"none\"", false },
    { "functions", "[]", false },
    { "logit_bias", "{}", false },
    { "logprobs", "false", false },
    { "max_completion_tokens", NULL, false },
    { "max_tokens", NULL, false },
    { "metadata", NULL, true },
    { "modalities", "[\"text\"]", false },
    { "n", "1", false },
    { "parallel_tool_calls", NULL, true },
    { "prediction", NULL, true },
    { "presence_penalty", "0", false },
    { "prompt_cache_key", NULL, true },
    { "prompt_cache_retention", NULL, true },
    { "reasoning_effort", NULL, false },
    { "safety_identifier", NULL, true },
    { "seed", NULL, false },
    { "service_tier", NULL, true },
    { "stop", "[]", false },
    { "store", NULL, true },
    { "stream", "false", false },
    { "stream_options", NULL, true },
    { "temperature", NULL, false },
    { "tool_choice", "\"none\"", false },
    { "tools", "[]", false },
    { "top_logprobs", "0", false },
    { "top_p", "1", false },
    { "user", NULL, true },
    { "verbosity", NULL, false },
    { "web_search_options", NULL, false },
};
/* clang-format on */

const struct grammar *
grammar_of(const struct dialect *dialect)
{
    for (size_t i = 0; i < COUNT(grammars); i++) {
        if (strcmp(grammars[i].dialect, dialect->name) == 0)
            return &grammars[i];
    }
    assert(dialect->is_openai); /* the others have a grammar */
    return NULL;
}

const struct grammar_move *
grammar_move(const struct grammar *grammar, const struct json_doc *doc,
             size_t key)
{
    const struct grammar_move *move = grammar->moves;

    for (size_t i = 0; i < GRAMMAR_MOVES_MAX && move[i].member; i++) {
        if (json_is(doc, key, move[i].member))
            return &move[i];
    }
    return NULL;
}

const struct grammar_member *
grammar_member(const struct json_doc *doc, size_t key)
{
    for (size_t i = 0; i < COUNT(members); i++) {
        if (json_is(doc, key, members[i].name))
            return &members[i];
    }
    return NULL;
}
