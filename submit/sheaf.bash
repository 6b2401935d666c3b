# sheaf.bash - completion for bash: commands, options, words, files, batches
#
# What there is to complete comes from the programs: commands and options from
# --help, batches from the broker, if one answers. No broker is started for it,
# so with -C there are none. The words of an option stand here; a test holds them
# against the programs' tables.
# SPDX-License-Identifier: MIT
# shellcheck shell=bash

# The options of "PROGRAM [COMMAND]", and with each what --help shows as its value,
# one space behind it.
_sheaf_options() { # PROGRAM [COMMAND]
    "$@" --help 2>/dev/null | awk '
        match($0, /^ +(-[A-Za-z], )?--[a-z-]+(, --[a-z-]+)*/) {
            count = split(substr($0, 1, RLENGTH), names, /[ ,]+/)
            value = ""
            if (match(rest = substr($0, RLENGTH + 1), /^ [^ ]+/))
                value = substr(rest, 1, RLENGTH)
            for (i = 2; i <= count; i++)
                print names[i] value
        }'
}

# The value of an option as --help shows it; nothing: it has none.
_sheaf_value() { # OPTION PROGRAM [COMMAND]
    local wanted=$1 option value

    shift
    while read -r option value; do
        [[ $option == "$wanted" ]] && printf '%s\n' "$value" && return
    done < <(_sheaf_options "$@")
}

# The words that an option of a program has; nothing: any.
_sheaf_words() { # PROGRAM OPTION VALUE
    [[ $3 == *\|* ]] && echo "${3//|/ }" && return
    case ${1##*/}\ $2 in
    sheaf\ --input) echo auto jsonl openai text ;;
    sheaf\ --last-resort) echo wait essence local ;;
    sheaf\ --progress) echo auto always never ;;
    sheaf\ --order) echo completion input ;;
    sheaf\ --format) echo jsonl csv text openai ;;
    sheaf\ --log-level) echo error debug info warn ;;
    esac
}

# The batches that the broker has, the newest first.
_sheaf_batches() { # PROGRAM [OPTION...]
    "$@" list --json --limit 100 --broker-timeout 1 2>/dev/null |
        sed -nE 's/^\{.*"batch": ?"([0-9a-f-]+)".*/\1/p'
}

# What a command may be followed by, as its count-th argument.
_sheaf_arguments() { # PROGRAM COMMAND COUNT WORD [OPTION...]
    local program=$1 command=$2 count=$3 word=$4

    shift 4
    case $command\ $count in
    upstreams\ 1) compgen -W resume -- "$word" ;;
    webhooks\ 1) compgen -W 'resend test' -- "$word" ;;
    wait\ * | status\ 1 | results\ 1 | why\ 1 | cancel\ 1 | pause\ 1 | \
        resume\ 1 | purge\ 1 | retry\ 1)
        [[ $1 == none ]] ||
            compgen -W "$(_sheaf_batches "$program" "$@")" -- "$word"
        ;;
    esac
}

# The rest is bash's own work, which knows about quotes.
_sheaf_paths() { # FILE | DIR
    case $1 in
    FILE) compopt -o default ;;
    DIR) compopt -o dirnames ;;
    esac 2>/dev/null
}

_sheaf() {
    local program=${COMP_WORDS[0]/#\~/$HOME} word=${COMP_WORDS[COMP_CWORD]}
    local command='' option='' value='' ended='' count=0 i
    local -a help=("$program") broker=()

    COMPREPLY=()
    # Before the command there are the options that all have: this one has no other.
    [[ ${program##*/} == sheaf ]] && help+=(compact)
    [[ $word == = ]] && word=''
    # What stands before the word: "--name=value" is three words to bash.
    for ((i = 1; i < COMP_CWORD; i++)); do
        local before=${COMP_WORDS[i]}

        if [[ $before == = && $option ]]; then
            continue
        elif [[ $option ]]; then
            case $option in
            --broker) broker=(--broker "$before") ;;
            -C | --directory | --store) broker=(none) ;;
            esac
            option=''
        elif [[ $before == -- ]]; then
            ended=1
        elif [[ $before == -?* && ! $ended ]]; then
            value=$(_sheaf_value "$before" "${help[@]}")
            [[ $value ]] && option=$before
        elif [[ ${program##*/} == sheaf && ! $command ]]; then
            command=$before
            help=("$program" "$command")
        else
            ((count++))
        fi
    done
    if [[ $option ]]; then
        _sheaf_paths "$value"
        mapfile -t COMPREPLY < <(compgen -W "$(
            _sheaf_words "$program" "$option" "$value"
        )" -- "$word")
    elif [[ $word == -* && ! $ended ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(
            _sheaf_options "${help[@]}" | sed -n 's/^\(--[^ ]*\).*/\1/p'
        )" -- "$word")
    elif [[ ${program##*/} == sheaf && ! $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(
            "$program" --help 2>/dev/null | sed -n 's/^  \([a-z-]*\)  .*/\1/p'
        )" -- "$word")
    elif [[ $command ]]; then
        case $command in
        run | submit) _sheaf_paths FILE ;;
        backup) _sheaf_paths DIR ;;
        esac
        mapfile -t COMPREPLY < <(
            _sheaf_arguments "$program" "$command" $((count + 1)) "$word" \
                "${broker[@]}"
        )
    fi
}

complete -F _sheaf sheaf sheafd sheaf-worker sheaf-http
