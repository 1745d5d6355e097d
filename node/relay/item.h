/* What an operator tells about pulls and pushes, in the configuration (pull.sources, push.targets)
 * or by API. */
#ifndef HW_NODE_RELAY_ITEM_H
#define HW_NODE_RELAY_ITEM_H

#include "common/base/conf_item.h"
#include "common/media/name.h"

#define RELAY_MAX_URLS 8
#define RELAY_URL_SIZE 512
/* As it is shown: scheme, host and port alone; the rest may be a key. */
#define RELAY_SHOWN_SIZE 320

enum pull_mode { PULL_ON_DEMAND, PULL_ALWAYS };

struct pull_item {
    char *stream;          /* "app/name" */
    struct conf_list urls; /* in the order in which they are tried */
    int mode;              /* enum pull_mode */
    uint64_t idle_ms;      /* 0 = pull_idle_ms */
    uint64_t retry;        /* rounds in vain before it is given up; 0 = never */
    char *node;            /* id of the one where it always runs; "" = where it was told */
};
extern const struct conf_schema k_pull_item_schema;

enum push_codecs { PUSH_ANNOUNCED, PUSH_HEVC12, PUSH_ALL };

struct push_item {
    char *stream;   /* "app/name", or all of an app: "app/" and a star */
    char *url;      /* {app} and {name} stand for the stream's */
    int codecs;     /* enum push_codecs */
    uint64_t retry; /* as that of a pull */
};
extern const struct conf_schema k_push_item_schema;

/* What the schemas cannot say. E_OK, or E_INVAL with "source: key: ..." in *error, which does not
 * repeat an URL: it may hold a key. *name is the stream's. */
enum err pull_item_check(const struct pull_item *item, const char *source, struct stream_name *name,
                         struct conf_error *error);
enum err push_item_check(const struct push_item *item, const char *source,
                         struct conf_error *error);

/* An entry of pull.sources: text of an item, or "app/name=url", an on-demand pull from there. To be
 * paired with conf_free(). */
enum err pull_item_from_conf(const char *source, const char *text, struct pull_item *out,
                             struct stream_name *name, struct conf_error *error);
enum err push_item_from_conf(const char *source, const char *text, struct push_item *out,
                             struct conf_error *error);

bool push_item_matches(const struct push_item *item, const struct stream_name *name);
/* The target of that stream. False: it is longer than size. */
bool push_item_url(const struct push_item *item, const struct stream_name *name, char *out,
                   size_t size);

#endif
