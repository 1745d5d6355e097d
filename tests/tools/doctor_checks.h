/* What the doctor looks at, one call a part; each says what it found. They may take seconds:
 * nothing else runs. */
#ifndef HW_TESTS_TOOLS_DOCTOR_CHECKS_H
#define HW_TESTS_TOOLS_DOCTOR_CHECKS_H

#include <jansson.h>

#include "common/base/conf.h"
#include "common/net/loop.h"

struct tls_client;

enum doctor_verdict { DOCTOR_OK, DOCTOR_WARN, DOCTOR_FAIL, DOCTOR_N_VERDICTS };
extern const char *const k_doctor_verdicts[DOCTOR_N_VERDICTS];

struct doctor {
    struct loop *loop;
    struct tls_client *trust; /* borrowed */
    int64_t timeout_ms;
    bool is_quiet; /* only what is not ok */
    FILE *out;     /* lines for people; NULL = none */
    json_t *found; /* array of {"verdict", "check", "text"} */
    unsigned n[DOCTOR_N_VERDICTS];
};

/* check is one word: "ports". */
void doctor_say(struct doctor *d, enum doctor_verdict verdict, const char *check,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A place where the daemon listens. While the doctor works it listens there itself, if nobody else
 * does. */
struct doctor_port {
    const char *key, *listen; /* borrowed; listen "" = off */
    int fd;                   /* -1 = none */
};
void doctor_open_ports(struct doctor *d, struct doctor_port *ports, unsigned n_ports);
void doctor_close_ports(struct doctor_port *ports, unsigned n_ports);
/* Whether url, by which others reach port (NULL: nothing listens), leads here. url "" says nothing.
 */
void doctor_look_from_outside(struct doctor *d, const char *key, const char *url,
                              const struct doctor_port *port);

/* n_wanted connections that the configuration allows; 0 = as many as there are. */
void doctor_count_descriptors(struct doctor *d, uint64_t n_wanted);
void doctor_read_clock(struct doctor *d);
/* path "" says nothing. is_folder: files are made in it; else it is a file that is made or
 * replaced. */
void doctor_look_at_folder(struct doctor *d, const char *key, const char *path, bool is_folder);

/* Each is asked whether it is ready, and whether it knows the token ("" = none). */
void doctor_ask_schedulers(struct doctor *d, const struct conf_list *urls, const char *token);

struct scheduler_conf;
void doctor_ask_redis(struct doctor *d, const struct scheduler_conf *conf);

#endif
