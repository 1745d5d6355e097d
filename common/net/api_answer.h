/* Answers of APIs: JSON. One thread at a time. */
#ifndef HW_COMMON_NET_API_ANSWER_H
#define HW_COMMON_NET_API_ANSWER_H

#include <jansson.h>

#include "common/net/http_server.h"

/* One line, reals with 15 digits, so that 0.1 is not 0.10000000000000001. The caller frees it; NULL
 * when out of memory, or json was NULL. */
char *api_json_text(const json_t *json);

/* Answers with json, and takes it. NULL: 503, there was no memory for it. */
void api_respond_json(struct http_exchange *x, unsigned status, json_t *json);

#endif
