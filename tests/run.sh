#!/usr/bin/env bash
# Runs every test: installs what is missing, builds with sanitizers, drives ctest, and ends with the
# line "N passed, N failed". README.md in this folder is the manual.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
jobs=$(nproc)
waiting=$((jobs * 2)) # integration tests wait most of their time
results=$(mktemp -d "${TMPDIR:-/tmp}/headwater-tests.XXXXXXXX")
passed=0 failed=0 full=no
failed_names=()
beside_name='' beside_pid=''
fixed=() # a prefix of commands that use sanitizers; see choose_addresses()

usage() {
    cat <<END
Usage: tests/run.sh [--full] [--help] [ctest arguments]
  (none)          the quick set: unit, fuzz corpora, checks and integration tests under ASan and UBSan,
                  and the regression guard (tests/bench/guard.py) on the release build
  --full          that, then the long tests, ThreadSanitizer, the unit tests on arm64 (emulated), and 10 s of each
                  fuzz target with clang
  ctest arguments go to ctest and select from the debug build: -R rtmp, -L unit, -N, --verbose ...
The last line is "N passed, N failed"; the exit code is 0 only when nothing failed.
END
}

step() { printf '\n== %s\n' "$*"; }

count_failure() { # name
    failed=$((failed + 1))
    failed_names+=("$1")
}

finish() {
    local status=$?
    [ -z "$beside_pid" ] || kill -- "-$beside_pid" 2>/dev/null || true
    rm -rf "$results"
    if [ $failed -gt 0 ]; then printf 'failed: %s\n' "${failed_names[@]}"; fi
    if [ $status -ne 0 ] && [ $failed -eq 0 ]; then failed=1; fi # stopped half-way
    echo "$passed passed, $failed failed"
    [ $failed -eq 0 ] || exit 1
}

# A step that is no test of its own: only its failure counts, and ends the run if it is fatal.
must() { # name command...
    local name=$1
    shift
    step "$name"
    "$@" || {
        count_failure "$name"
        exit 1
    }
}

# Builds beside tests that wait, in what they leave of the processors; settle() says how it ended.
beside() { # name command...
    beside_name=$1
    shift
    set -m # a process group of its own, for finish()
    (renice -n 19 -p "$BASHPID" >/dev/null && "$@") >"$results/beside.log" 2>&1 </dev/null &
    beside_pid=$!
    set +m
}

settle() {
    step "$beside_name"
    wait "$beside_pid" || {
        cat "$results/beside.log"
        count_failure "$beside_name"
        exit 1
    }
    beside_pid=''
    tail -n 1 "$results/beside.log"
}

# Kernels that spread mappings over more than 28 bits leave no room where the sanitizers of Debian 12
# keep their shadow: programs end at start, now and then. Without randomization there is always room.
choose_addresses() {
    local bits
    bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)
    if [ "$bits" -gt 28 ] && setarch "$(uname -m)" -R true 2>/dev/null; then
        fixed=(setarch "$(uname -m)" -R)
    fi
}

build() { # preset cmake-arguments...
    local preset=$1
    shift
    cmake --preset "$preset" "$@" >"$results/cmake-$preset.log" 2>&1 || {
        cat "$results/cmake-$preset.log"
        return 1
    }
    cmake --build --preset "$preset" --parallel "$jobs"
}

# Builds of the other kinds, one after the other.
build_rest() {
    build tsan && deploy/cross/arm64.sh --tests && build fuzz -DHW_WERROR=ON
}

run_ctest() { # preset title ctest-arguments...
    local preset=$1 title=$2 report=$results/report.xml name
    shift 2
    step "$title"
    rm -f "$report"
    "${fixed[@]}" ctest --test-dir "$root/.build/$preset" --output-on-failure --no-tests=error \
        --output-junit "$report" "$@" || true
    if [ ! -s "$report" ]; then
        count_failure "$title: ctest did not run"
        return 0
    fi
    passed=$((passed + $(grep -c '<testcase .*status="run"' "$report" || true)))
    while read -r name; do
        count_failure "$preset: $name"
    done < <(grep '<testcase ' "$report" | grep -v 'status="run"' | sed 's/.*<testcase name="\([^"]*\)".*/\1/')
}

# New inputs go to a scratch folder, so that the corpus in the tree stays as it is; one that crashes is
# kept in the build folder.
fuzz_target() { # name
    local name=$1 binary
    binary=$(find "$root/.build/fuzz" -type f -name "$name" | head -n 1)
    mkdir -p "$results/$name"
    if "${fixed[@]}" "$binary" -max_total_time=10 -timeout=5 -artifact_prefix="$root/.build/fuzz/" \
        "$results/$name" "$root/tests/fuzz/corpus/${name#fuzz_}" >"$results/$name.log" 2>&1; then
        touch "$results/$name.passed"
    fi
}

# One a core at a time.
run_fuzz_targets() {
    local source name
    step "fuzz each target for 10 s"
    for source in "$root"/tests/fuzz/fuzz_*.c; do
        while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do wait -n || true; done
        fuzz_target "$(basename "$source" .c)" &
    done
    wait
    for source in "$root"/tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        if [ -e "$results/$name.passed" ]; then
            echo "$name: $(grep '^Done' "$results/$name.log" || true)"
            passed=$((passed + 1))
        else
            tail -n 50 "$results/$name.log"
            count_failure "fuzz: $name"
        fi
    done
}

while [ $# -gt 0 ]; do
    case $1 in
    --full) full=yes ;;
    --help | -h) usage; rm -rf "$results"; exit 0 ;;
    *) break ;;
    esac
    shift
done

trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$root"
choose_addresses

groups=(build test)
if [ $full = yes ]; then groups+=(full package arm64); fi
must "install what is missing" deploy/install-packages.sh "${groups[@]}"
must "build debug (ASan, UBSan)" build debug

if [ $# -gt 0 ]; then
    run_ctest debug "tests: $*" "$@"
    exit 0
fi

run_ctest debug "unit tests, corpora, checks" -LE 'integration|guard' -j "$jobs"
beside "build release" build release
run_ctest debug "integration" -L '^integration$' -LE '^alone$' -j "$waiting"
settle
run_ctest debug "integration, one at a time" -L '^integration$' -L '^alone$'
run_ctest debug "regression guard" -L '^guard$'

if [ $full = yes ]; then
    run_ctest debug "long tests, one at a time" -L '^integration-full$' -L '^alone$'
    beside "build tsan, arm64, fuzz (clang)" build_rest
    run_ctest debug "long tests" -L '^integration-full$' -LE '^alone$' -j "$waiting"
    settle
    run_ctest tsan "ThreadSanitizer: unit tests" -L '^unit$' -j "$jobs"
    run_ctest tsan "ThreadSanitizer: integration" -L '^(integration|threads)$' -LE '^(calm|alone)$' -j "$waiting"
    run_ctest tsan "ThreadSanitizer: integration, one at a time" -L '^(integration|threads)$' -L '^alone$'
    run_ctest arm64 "arm64: unit tests and corpora under emulation" -L '^(unit|fuzz)$' -j "$jobs"
    run_fuzz_targets
fi
