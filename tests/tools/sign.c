/* Signed URLs and hashed passwords, with the code that a node checks them with. Secrets come from
 * files and standard input: arguments are seen by everybody on the machine. */
#include "tests/tools/sign.h"

#include <stdio.h>
#include <string.h>

#include "common/net/addr_net.h"
#include "proto/access/password.h"
#include "proto/access/sign.h"
#include "tests/tools/options.h"

#define MAX_FILE_BYTES (1u << 20)
#define MAX_QUERY_BYTES 1024

struct options {
    const char *keys, *key, *action, *stream, *net, *url;
    double expires_s, for_s;
    bool help;
};

/* clang-format off */
#define OF(member) offsetof(struct options, member)
static const struct option_row k_rows[] = {
    {"--keys", "FILE", OPTION_TEXT, 0, OF(keys), 0, 0, false, "the node's access.sign_keys_file"},
    {"--key", "ID", OPTION_TEXT, 0, OF(key), 0, 0, false, "which key signs (the first one)"},
    {"--action", "WORD", OPTION_TEXT, 0, OF(action), 0, 0, false, "publish or play (play)"},
    {"--stream", "NAME", OPTION_TEXT, 0, OF(stream), 0, 0, false, "app/name"},
    {"--for", "S", OPTION_NUMBER, 0, OF(for_s), 1, 1e9, true, "seconds from now on (3600)"},
    {"--expires", "T", OPTION_NUMBER, 0, OF(expires_s), 0, 1e11, true, "Unix time instead"},
    {"--net", "CIDR", OPTION_TEXT, 0, OF(net), 0, 0, false, "only for clients from there"},
    {"--url", "URL", OPTION_TEXT, 0, OF(url), 0, 0, false, "what the query is put behind; without it the query alone"},
    {"--help", "", OPTION_FLAG, 0, OF(help), 0, 0, false, "this text"},
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};

static int fail(const char *command, const char *what, const char *why)
{
    fprintf(stderr, "headwater-tool %s: %s%s%s\n", command, what, why[0] ? ": " : "", why);
    return 2;
}

static void sign_usage(FILE *out)
{
    fputs("usage: headwater-tool sign --keys FILE --stream app/name [OPTION]...\n\n", out);
    options_help(&k_table, out);
}

/* --- signed URLs --- */

static enum err read_keys(const char *path, struct sign_keys *keys, const char **why)
{
    FILE *f = fopen(path, "re");
    struct buf_writer text;
    char chunk[4096];
    size_t n;
    enum err e;

    *why = "cannot be read";
    if (!f)
        return E_IO;
    buf_writer_init(&text, MAX_FILE_BYTES);
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        buf_write(&text, chunk, n);
    fclose(f);
    e = buf_writer_status(&text) == E_OK ? sign_keys_parse(buf_writer_view(&text), keys, why)
                                         : E_IO;
    buf_writer_fini(&text);
    return e;
}

static const struct sign_key *find_key(const struct sign_keys *keys, const char *id)
{
    for (size_t i = 0; i < keys->n; i++)
        if (!id || !strcmp(keys->keys[i].id, id))
            return &keys->keys[i];
    return NULL;
}

static const char *make_claim(const struct options *o, struct sign_claim *claim)
{
    struct stream_name name;
    struct addr_net net;
    char path[STREAM_NAME_SIZE + 1];
    const char *why = "";

    if (strcmp(o->action, "publish") != 0 && strcmp(o->action, "play") != 0)
        return "--action is publish or play";
    snprintf(path, sizeof path, "/%s", o->stream);
    if (strlen(o->stream) >= STREAM_NAME_SIZE ||
        stream_name_from_path(&name, buf_view_str(path), &why) != E_OK)
        return "--stream is not app/name";
    if (o->net && (strlen(o->net) >= sizeof claim->net || addr_net_parse(&net, o->net) != E_OK))
        return "--net is not a network";
    *claim = (struct sign_claim){.action = o->action, .stream = o->stream};
    snprintf(claim->net, sizeof claim->net, "%s", o->net ? o->net : "");
    snprintf(claim->expires, sizeof claim->expires, "%lld",
             (long long)(o->expires_s > 0 ? o->expires_s
                                          : (double)(clock_wall_us() / 1000000) + o->for_s));
    return NULL;
}

static int print(const struct sign_key *key, const struct sign_claim *claim, const char *url)
{
    struct buf_writer query;
    enum err e;

    buf_writer_init(&query, MAX_QUERY_BYTES);
    e = sign_write_query(key, claim, &query);
    if (e == E_OK && url)
        printf("%s%s%s\n", url, strchr(url, '?') ? "&" : "?", (const char *)query.data);
    else if (e == E_OK)
        printf("%s\n", (const char *)query.data);
    buf_writer_fini(&query);
    return e == E_OK ? 0 : fail("sign", err_text(e), "");
}

int sign_main(int argc, char **argv)
{
    struct options o = {.action = "play", .for_s = 3600};
    const struct sign_key *key;
    struct sign_claim claim;
    struct sign_keys keys;
    const char *reason;
    char why[200];
    int status;

    if (options_parse(&k_table, argc, argv, &o, why, sizeof why) != E_OK)
        return fail("sign", why, "");
    if (o.help) {
        sign_usage(stdout);
        return 0;
    }
    if (!o.keys || !o.stream) {
        sign_usage(stderr);
        return 2;
    }
    reason = make_claim(&o, &claim);
    if (reason)
        return fail("sign", reason, "");
    if (read_keys(o.keys, &keys, &reason) != E_OK)
        return fail("sign", o.keys, reason);
    key = find_key(&keys, o.key);
    status = key ? print(key, &claim, o.url) : fail("sign", "no such key", o.key);
    explicit_bzero(&keys, sizeof keys);
    return status;
}

/* --- passwords --- */

int passwd_main(int argc, char **argv)
{
    uint8_t salt[PASSWORD_SALT_BYTES];
    char password[PASSWORD_SIZE + 1], line[PASSWORD_LINE_SIZE];
    enum err e;

    if (argc != 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        fputs("usage: headwater-tool passwd NAME <password\n\n"
              "  Prints a line for access.users_file; the password is the first line of standard\n"
              "  input.\n",
              argc == 2 ? stdout : stderr);
        return argc == 2 ? 0 : 2;
    }
    if (!fgets(password, sizeof password, stdin))
        return fail("passwd", "no password on standard input", "");
    password[strcspn(password, "\r\n")] = '\0';
    random_bytes(salt, sizeof salt);
    e = password_write_line(argv[1], password, salt, line);
    explicit_bzero(password, sizeof password);
    if (e != E_OK)
        return fail("passwd",
                    "a name has 1 to 64 bytes without blanks, colons and #; a password has "
                    "1 to 128",
                    "");
    puts(line);
    return 0;
}
