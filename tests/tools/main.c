/* headwater-tool: what operators and tests need beside the daemons, one subcommand each. */
#include <stdio.h>
#include <string.h>

#include "common/base/version.h"
#include "tests/tools/analyze.h"
#include "tests/tools/ask.h"
#include "tests/tools/delay.h"
#include "tests/tools/doctor.h"
#include "tests/tools/load.h"
#include "tests/tools/pull.h"
#include "tests/tools/push.h"
#include "tests/tools/record.h"
#include "tests/tools/relay.h"
#include "tests/tools/remux.h"
#include "tests/tools/route.h"
#include "tests/tools/sign.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the name; returns the exit code */
    const char *help;
} k_commands[] = {
    {"analyze", analyze_main, "what is in a recording, and what is wrong with it"},
    {"ask", ask_main, "HTTP requests by the ten thousand a second, measured"},
    {"delay", delay_main, "how long frames take from camera to player"},
    {"doctor", doctor_main, "whether a daemon can do here what its configuration says"},
    {"load", load_main, "thousands of publishers and players, measured"},
    {"pull", pull_main, "a live stream into a file"},
    {"push", push_main, "a recording to a server, at its own speed"},
    {"record", record_main, "a live stream to HLS in a folder"},
    {"relay", relay_main, "a live stream to one or many servers"},
    {"remux", remux_main, "a recording in another container"},
    {"route", route_main, "where a scheduler sends whom, and why"},
    {"passwd", passwd_main, "lines for a node's file of users"},
    {"sign", sign_main, "addresses that let in who has them"},
};

static void usage(FILE *out)
{
    fputs("headwater-tool: tools around a Headwater cluster\n"
          "\n"
          "usage: headwater-tool COMMAND [OPTION]...\n"
          "\n",
          out);
    for (size_t i = 0; i < sizeof k_commands / sizeof k_commands[0]; i++)
        fprintf(out, "  %-10s %s\n", k_commands[i].name, k_commands[i].help);
    fputs("  --version  version, and exit\n"
          "  --help     this text; behind a command: its options\n",
          out);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";

    for (size_t i = 0; i < sizeof k_commands / sizeof k_commands[0]; i++)
        if (!strcmp(name, k_commands[i].name))
            return k_commands[i].run(argc - 1, argv + 1);
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        usage(stdout);
        return 0;
    }
    if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
        printf("headwater-tool %s\n", version_text());
        return 0;
    }
    if (name[0])
        fprintf(stderr, "headwater-tool: no command %s\n\n", name);
    usage(stderr);
    return 2;
}
