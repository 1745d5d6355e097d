#include "common/net/api_answer.h"

#include <stdlib.h>

char *api_json_text(const json_t *json)
{
    return json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
}

void api_respond_json(struct http_exchange *x, unsigned status, json_t *json)
{
    char *text = api_json_text(json);

    json_decref(json);
    if (text)
        http_respond(x, status, "application/json", buf_view_str(text));
    else
        http_respond_problem(x, 503, "out of memory");
    free(text);
}
