/* Opening handshake, the server's part. RFC 6455, section 4.2. */
#include <string.h>

#include <openssl/evp.h>

#include "proto/ws/ws.h"

#define KEY_BYTES 24 /* 16 bytes in base64 */
#define SHA1_BYTES 20
static const char k_guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* section 1.3 */

bool ws_is_upgrade(const struct http_head *head)
{
    return head->upgrade && http_field_has_token(head, "upgrade", "websocket");
}

static bool is_base64(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* 16 bytes are 22 characters and "==". */
static bool is_key(struct buf_view key)
{
    if (key.size_bytes != KEY_BYTES || memcmp(key.data + KEY_BYTES - 2, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < KEY_BYTES - 2; i++)
        if (!is_base64(key.data[i]))
            return false;
    return true;
}

/* The one field of that name; NULL when there is none or several. */
static const struct http_field *find_single(const struct http_head *head, const char *name)
{
    const struct http_field *found = NULL;

    for (unsigned i = 0; i < head->n_fields; i++) {
        if (!buf_view_equals_nocase(head->fields[i].name, name))
            continue;
        if (found)
            return NULL;
        found = &head->fields[i];
    }
    return found;
}

static enum err refuse(struct http_error *error, unsigned status, const char *text)
{
    *error = (struct http_error){status, text};
    return E_PROTO;
}

enum err ws_accept(const struct http_head *head, char accept[WS_ACCEPT_SIZE],
                   struct http_error *error)
{
    const struct http_field *key = find_single(head, "sec-websocket-key");
    const struct http_field *version = find_single(head, "sec-websocket-version");
    uint8_t text[KEY_BYTES + sizeof k_guid - 1], digest[SHA1_BYTES];

    if (!buf_view_equals(head->method, "GET") || head->minor_version < 1)
        return refuse(error, 400, "a WebSocket is opened with GET over HTTP/1.1");
    if (!ws_is_upgrade(head))
        return refuse(error, 400, "no upgrade to websocket asked for");
    if (head->chunked || head->length_bytes)
        return refuse(error, 400, "a request to open a WebSocket has no body");
    if (!version || !buf_view_equals(version->value, "13"))
        return refuse(error, 426, "Sec-WebSocket-Version is not 13");
    if (!key || !is_key(key->value))
        return refuse(error, 400, "Sec-WebSocket-Key is not 16 bytes in base64");
    memcpy(text, key->value.data, KEY_BYTES);
    memcpy(text + KEY_BYTES, k_guid, sizeof k_guid - 1);
    if (!EVP_Digest(text, sizeof text, digest, NULL, EVP_sha1(), NULL))
        return E_NOMEM;
    EVP_EncodeBlock((uint8_t *)accept, digest, SHA1_BYTES);
    return E_OK;
}

const char *ws_pick_protocol(const struct http_head *head, const char *const *known)
{
    for (unsigned i = 0; i < head->n_fields; i++) {
        struct buf_reader list = buf_reader_from(head->fields[i].value);
        struct buf_view element;

        if (!buf_view_equals_nocase(head->fields[i].name, "sec-websocket-protocol"))
            continue;
        while (http_list_next(&list, &element))
            for (const char *const *name = known; *name; name++)
                if (buf_view_equals(element, *name))
                    return *name;
    }
    return NULL;
}
