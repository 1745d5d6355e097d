/* The keys of session tickets: one set for all loops, changed by time. RFC 5077, section 4: a
 * ticket is key name, IV, state under AES-256-CBC, and HMAC-SHA256 over all of it. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "common/net/loop.h"
#include "common/net/tls_private.h"

#define N_KEYS 3
#define NAME_BYTES 16 /* OpenSSL's, for key_name */
#define KEY_BYTES 32
#define IV_BYTES 16

struct key {
    unsigned char name[NAME_BYTES];
    unsigned char cipher[KEY_BYTES];
    unsigned char mac[KEY_BYTES];
};

struct tls_tickets {
    pthread_mutex_t lock;
    int64_t made_us;
    unsigned n_keys;
    struct key keys[N_KEYS]; /* newest first */
};

static void add_key(struct tls_tickets *t)
{
    memmove(&t->keys[1], &t->keys[0], (N_KEYS - 1) * sizeof t->keys[0]);
    random_bytes(&t->keys[0], sizeof t->keys[0]);
    t->made_us = clock_mono_us();
    t->n_keys += t->n_keys < N_KEYS;
}

struct tls_tickets *tls_tickets_create(void)
{
    struct tls_tickets *t = calloc(1, sizeof *t);

    if (!t)
        return NULL;
    pthread_mutex_init(&t->lock, NULL);
    add_key(t);
    return t;
}

void tls_tickets_destroy(struct tls_tickets **tickets)
{
    struct tls_tickets *t = *tickets;

    *tickets = NULL;
    if (!t)
        return;
    pthread_mutex_destroy(&t->lock);
    OPENSSL_cleanse(t, sizeof *t);
    free(t);
}

void tls_tickets_rotate(struct tls_tickets *t)
{
    pthread_mutex_lock(&t->lock);
    add_key(t);
    pthread_mutex_unlock(&t->lock);
}

/* The place of the key of that name, or n_keys. */
static unsigned find_key(const struct tls_tickets *t, const unsigned char *name)
{
    unsigned at = 0;

    while (at < t->n_keys && memcmp(t->keys[at].name, name, NAME_BYTES) != 0)
        at++;
    return at;
}

static bool start_mac(EVP_MAC_CTX *mac, struct key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, KEY_BYTES),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3): -1 error, 0 not ours, 1 go on, 2 go on and renew. */
int tls_tickets_key(struct tls_tickets *t, unsigned char *name, unsigned char *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool is_sealing)
{
    unsigned at = 0;
    struct key key; /* a copy: the set may change as soon as the lock is open */
    bool ok;

    pthread_mutex_lock(&t->lock);
    if (clock_mono_us() - t->made_us >= TLS_TICKET_KEY_S * INT64_C(1000000))
        add_key(t);
    if (!is_sealing)
        at = find_key(t, name);
    ok = at < t->n_keys;
    if (ok)
        key = t->keys[at];
    pthread_mutex_unlock(&t->lock);
    if (!ok)
        return 0;
    if (is_sealing) {
        memcpy(name, key.name, NAME_BYTES);
        random_bytes(iv, IV_BYTES);
    }
    ok = EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv, is_sealing) == 1 &&
         start_mac(mac, &key);
    OPENSSL_cleanse(&key, sizeof key);
    if (!ok)
        return -1;
    return at == 0 ? 1 : 2;
}
