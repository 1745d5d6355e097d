/* See stream_key.h. */
#include "proto/access/stream_key.h"

#include <string.h>

void stream_key_format(const uint8_t random[STREAM_KEY_BYTES], char out[STREAM_KEY_SIZE])
{
    (void)base64url_write(buf_view_of(random, STREAM_KEY_BYTES), out, STREAM_KEY_SIZE);
}

bool stream_key_hash(const char *key, char out[SHA256_HEX_SIZE])
{
    uint8_t hash[SHA256_BYTES];

    if (!digest_sha256(buf_view_str(key), hash))
        return false;
    hex_write(hash, sizeof hash, out);
    return true;
}

bool stream_key_is(const char *key, const char hash[SHA256_HEX_SIZE])
{
    char said[SHA256_HEX_SIZE];

    return stream_key_hash(key, said) && digest_is_same(said, hash, SHA256_HEX_SIZE);
}

bool stream_key_is_of_room(const char *text)
{
    return strspn(text, "0123456789abcdef") == STREAM_ROOM_KEY_BYTES &&
           !text[STREAM_ROOM_KEY_BYTES];
}

bool lal_secret_is(const char *secret, const char *key, const char *name)
{
    char right[MD5_HEX_SIZE], said[MD5_HEX_SIZE];
    struct buf_writer text;
    bool ok;

    if (!key[0] || strlen(secret) != MD5_HEX_SIZE - 1)
        return false;
    for (size_t i = 0; i < MD5_HEX_SIZE; i++)
        said[i] = (char)(secret[i] >= 'A' && secret[i] <= 'Z' ? secret[i] | 0x20 : secret[i]);
    buf_writer_init(&text, 1024);
    buf_write_str(&text, key);
    buf_write_str(&text, name);
    ok = buf_writer_status(&text) == E_OK && digest_md5_hex(buf_writer_view(&text), right) &&
         digest_is_same(said, right, MD5_HEX_SIZE);
    buf_writer_fini(&text);
    return ok;
}
