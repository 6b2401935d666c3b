#!/bin/sh
# 03-completion.sh - what bash completes is what the programs take
#
# bash's function is called as bash calls it: with the words of the line, of which
# the last one is completed. Names of files are bash's own work, so for these a
# terminal is used. The batches are those of a broker that runs; for a
# store that none has open, no broker is started.
# SPDX-License-Identifier: MIT
set -u
. "$(dirname "$0")/lib.sh"

completion=${examples%/examples}/submit/sheaf.bash

# What the last word can become, in order, on a line.
completed() { # WORD…
    # shellcheck disable=SC2016 # for bash
    bash -c '. "$1"; shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _sheaf
        printf "%s\n" "${COMPREPLY[@]}"' bash "$completion" "$@" 2>err |
        LC_ALL=C sort | tr '\n' ' ' | sed 's/ $//'
    [ -s err ] && fail "completion of '$*': $(cat err)"
}

completes() { # WORDS WORD…
    want=$1
    shift
    equal "$(completed "$@")" "$want" "what follows '$*'"
}

# Each option that --help names in its first column, and no other word.
knows_options_of() { # PROGRAM [COMMAND]
    equal "$(completed "$@" --) " \
        "$("$BIN/$1" ${2:+"$2"} --help |
            sed -n 's/^ \{1,6\}\(-., \)\{0,1\}\(--[^ ].*\)/\2/p' |
            sed 's/  .*//; s/ [^-].*//; s/,//g' | tr ' ' '\n' |
            LC_ALL=C sort | tr '\n' ' ')" "the options of $*"
}

# What a tab makes of lines in a terminal.
typed() { # LINE…
    "$python" - "$completion" "$@" <<'END'
import os, pty, signal, sys

PATIENCE_S = 60

child, terminal = pty.fork()
if child == 0:
    os.environ["PS1"] = "> "
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
signal.alarm(PATIENCE_S)
os.mkfifo("line")
os.write(terminal, b". '%s'\n" % os.fsencode(sys.argv[1]))
# A key that tells the line.
os.write(terminal, b"""bind -x '"\\C-t": printf "%s" "$READLINE_LINE" >line'\n""")
if os.fork() == 0:  # nobody looks at the terminal
    try:
        while os.read(terminal, 4096):
            pass
    except OSError:  # its end
        sys.exit()
for line in sys.argv[2:]:
    os.write(terminal, b"\x15" + os.fsencode(line) + b"\t\x14")
    with open("line", encoding="utf-8") as told:
        print(told.read())
os.write(terminal, b"\x15exit\n")
os.remove("line")
END
}

echo text >"a file.txt"
mkdir "a folder" bare

completes "results resume retry" sheaf re
equal "$(completed sheaf '' | wc -w)" \
    "$("$BIN/sheaf" --help | grep -c '^  [a-z]')" "the number of commands"
for command in $(completed sheaf ''); do
    knows_options_of sheaf "$command"
done
for program in sheafd sheaf-worker sheaf-http; do
    knows_options_of "$program"
done
say "commands and options are those of --help"

completes "csv jsonl openai text" sheaf results --format ''
completes "csv" sheaf results --format = c
completes "csv jsonl openai text" sheaf export --format =
completes "debug error info warn" sheafd --log-level ''
completes "json text" sheaf-worker --log-format ''
equal "$(typed 'sheaf submit --goal x a\ fi' 'sheaf run --json "a fi' \
    'sheaf backup a' 'sheaf -C a\ ' 'sheaf results -o a\ fi' 'sheafd --config=a\ fi' \
    'sheaf results --format=t' 'sheaf exp')" "$(cat <<'END'
sheaf submit --goal x a\ file.txt 
sheaf run --json "a file.txt" 
sheaf backup a\ folder/
sheaf -C a\ folder/
sheaf results -o a\ file.txt 
sheafd --config=a\ file.txt 
sheaf results --format=text 
sheaf export 
END
)" "lines that were typed"
completes "" sheaf submit --goal ''
completes "--json" sheaf --js
completes "" sheaf results -- --js
say "words, files and folders follow where they belong"

start_upstream
configure "$URL/v1"
completes "" sheaf status ''
start_broker --workers 0
for goal in one two; do
    run_sheaf 0 submit --goal "$goal" "a file.txt"
    cat out >>batches
done
batches=$(LC_ALL=C sort batches | tr '\n' ' ')
completes "${batches% }" sheaf status ''
first=${batches%% *}
completes "$first" sheaf why "$(echo "$first" | cut -c 1-20)"
completes "" sheaf why "$first" ''
completes "${batches% }" sheaf wait "$first" ''
completes "${batches% }" sheaf cancel --broker "ipc://$XDG_RUNTIME_DIR/sheaf/clients" ''
completes "" sheaf status --broker ipc://nowhere ''
completes "" sheaf -C bare status ''
equal "$(ls bare)" "" "what completion has left in a folder"
stop_broker
say "batches are the broker's"
