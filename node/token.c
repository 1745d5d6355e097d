/* See token.h. */
#include "node/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One line without its end: "" when there is no more. False: too long, or holds a control
 * character, which could not stand in a header. */
static bool read_line(FILE *f, char line[TOKEN_MAX_BYTES + 3])
{
    size_t size;

    line[0] = '\0';
    if (!fgets(line, TOKEN_MAX_BYTES + 3, f))
        return true;
    size = strcspn(line, "\r\n");
    line[size] = '\0';
    for (const char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return false;
    return size <= TOKEN_MAX_BYTES;
}

static enum err refuse(struct conf_error *error, const char *source, const char *path,
                       const char *why)
{
    snprintf(error->text, sizeof error->text, "%s: \"%s\": %s", source, path, why);
    return E_INVAL;
}

static enum err read_lines(const char *source, const char *path, char lines[3][TOKEN_MAX_BYTES + 3],
                           struct conf_error *error)
{
    FILE *f = fopen(path, "re");
    bool ok = true;

    if (!f)
        return refuse(error, source, path, strerror(errno));
    for (int i = 0; i < 3; i++)
        ok = read_line(f, lines[i]) && ok;
    fclose(f);
    if (!ok || !lines[0][0])
        return refuse(error, source, path,
                      "the first line must hold 1 to 512 printable bytes, a second may");
    if (lines[2][0])
        return refuse(error, source, path,
                      "more than two lines; allowed are the secret in use and one more");
    return E_OK;
}

enum err node_secrets_read(const char *source, const char *path, struct node_tokens *tokens,
                           struct conf_error *error)
{
    char lines[3][TOKEN_MAX_BYTES + 3] = {"", "", ""};
    struct node_tokens fresh;
    enum err e = path[0] ? read_lines(source, path, lines, error) : E_OK;

    if (e != E_OK)
        return e;
    fresh = (struct node_tokens){strdup(lines[0]), strdup(lines[1])};
    explicit_bzero(lines, sizeof lines);
    if (!fresh.sent || !fresh.also) {
        node_tokens_free(&fresh);
        snprintf(error->text, sizeof error->text, "%s", err_text(E_NOMEM));
        return E_NOMEM;
    }
    *tokens = fresh;
    return E_OK;
}

enum err node_tokens_read(const char *path, struct node_tokens *tokens, struct conf_error *error)
{
    return node_secrets_read("cluster.token_file", path, tokens, error);
}

static void forget(char **secret)
{
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

void node_tokens_free(struct node_tokens *tokens)
{
    forget(&tokens->sent);
    forget(&tokens->also);
}

bool node_bears_token(const struct node *node, const struct http_exchange *x)
{
    return (node->token && http_bearer_is(x, node->token)) ||
           (node->token_also && http_bearer_is(x, node->token_also));
}

bool node_trusts(const struct node *node, const struct http_exchange *x)
{
    bool has_token = node->token && node->token[0];

    return has_token ? node_bears_token(node, x) : http_is_from_here(x);
}
