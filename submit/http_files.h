/*
 * http_files.h - OpenAI's Files API
 *
 * An upload is read as it comes, and the broker asked when all of it is there
 * and right. So if the client vanishes, nothing stays:
 *
 *   http_multipart ──► http_form ──► http_spool ──► file_open, file_part …
 *   the parts          what it is    the file       one at a time, file_close
 */
/* SPDX-License-Identifier: MIT */
#ifndef SUBMIT_HTTP_FILES_H
#define SUBMIT_HTTP_FILES_H

#include "submit/http_call.h"
#include "submit/http_route.h"

#define HTTP_FILES_LIMIT_MAX 10000
#define HTTP_JSON_LINES      "application/jsonl"

/* POST /v1/files: what its body may have, which the broker says; the pieces of
 * it, and its end. */
http_body_max_fn http_upload_bytes_max;
http_piece_fn http_upload_take;
http_handler_fn http_upload;

/* GET /v1/files; GET and DELETE /v1/files/{file}. */
http_handler_fn http_files_list, http_files_get, http_files_delete;

/* GET /v1/files/{file}/content: of a file; or of what a batch has so far, which
 * goes by the batch's id with _output or _error behind it. Such a reply is one
 * page of lines, and its header says where the next one begins. */
http_handler_fn http_content, http_partial;
bool http_partial_is(const char *id);

/* Asks about the file that the path names; one that cannot be is replied to. */
void http_files_call(struct http_request *request, const char *verb,
                     http_then_fn *then);

/* Replies with what the broker has said of the file. */
void http_files_failed(struct http_request *request, const struct err *err);

#endif
