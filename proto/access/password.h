/* Users with passwords: a file of lines "name:scrypt$<log2 N>$<salt>$<hash>", salt and hash as
 * base64url; r is 8 and p is 1. Sans I/O. */
#ifndef HW_PROTO_ACCESS_PASSWORD_H
#define HW_PROTO_ACCESS_PASSWORD_H

#include "common/base/map.h"
#include "proto/access/digest.h"

#define PASSWORD_SALT_BYTES 16
#define PASSWORD_HASH_BYTES 32
#define PASSWORD_LINE_SIZE 256
#define PASSWORD_MAX_USERS 10000
#define PASSWORD_NAME_SIZE 65
#define PASSWORD_SIZE 129
#define PASSWORD_COST 14 /* 16 MiB and some 50 ms */

struct password {
    uint8_t salt[PASSWORD_SALT_BYTES], hash[PASSWORD_HASH_BYTES];
    unsigned cost; /* log2 N: 10 to 18 */
};

struct password_file; /* opaque */
/* E_INVAL with what is wrong, and in which line, in why[size]. Pair with password_file_destroy().
 */
enum err password_file_parse(struct buf_view text, struct password_file **out, char *why,
                             size_t size);
void password_file_destroy(struct password_file **file);
/* Lends it until the end of the file; NULL: no such user. */
const struct password *password_find(const struct password_file *file, const char *name);

/* Slow by design: not on a loop that others share. */
bool password_is(const struct password *password, const char *text);
/* A line for the file, without its end. E_INVAL: the name has a colon, blanks or control
 * characters, or either is empty or too long. */
enum err password_write_line(const char *name, const char *text,
                             const uint8_t salt[PASSWORD_SALT_BYTES], char out[PASSWORD_LINE_SIZE]);

/* "Basic <base64>" of an Authorization field, or what is behind "Basic". False: it is none. */
bool basic_parse(const char *authorization, char name[PASSWORD_NAME_SIZE],
                 char password[PASSWORD_SIZE]);

#endif
