/* Counters of the HTTP server: one set for all instances of a program. */
#include <pthread.h>

#include "common/base/metrics.h"
#include "common/net/http_server_private.h"

#define REQUESTS "headwater_http_requests_total"
#define REQUESTS_HELP "HTTP requests by status class; taken = the connection went over to media"
#define BAD "headwater_http_bad_requests_total"
#define BAD_HELP "HTTP requests refused or cut off, by reason"

static struct metric g_requests[] = {
    METRIC(METRIC_COUNTER, REQUESTS, "code=\"1xx\"", REQUESTS_HELP),
    METRIC(METRIC_COUNTER, REQUESTS, "code=\"2xx\"", REQUESTS_HELP),
    METRIC(METRIC_COUNTER, REQUESTS, "code=\"3xx\"", REQUESTS_HELP),
    METRIC(METRIC_COUNTER, REQUESTS, "code=\"4xx\"", REQUESTS_HELP),
    METRIC(METRIC_COUNTER, REQUESTS, "code=\"5xx\"", REQUESTS_HELP),
    METRIC(METRIC_COUNTER, REQUESTS, "code=\"taken\"", REQUESTS_HELP),
};
#define N_CLASSES 5

#define BAD_ROW(reason) METRIC(METRIC_COUNTER, BAD, "reason=\"" reason "\"", BAD_HELP)
static struct metric g_bad[] = {
    [HTTP_BAD_SYNTAX] = BAD_ROW("syntax"),
    [HTTP_BAD_PATH] = BAD_ROW("path"),
    [HTTP_BAD_HEAD_SIZE] = BAD_ROW("head_size"),
    [HTTP_BAD_BODY_SIZE] = BAD_ROW("body_size"),
    [HTTP_BAD_TIMEOUT] = BAD_ROW("timeout"),
    [HTTP_BAD_EXPECTATION] = BAD_ROW("expectation"),
    [HTTP_BAD_NOT_IMPLEMENTED] = BAD_ROW("not_implemented"),
    [HTTP_BAD_VERSION] = BAD_ROW("version"),
    [HTTP_BAD_TRUNCATED] = BAD_ROW("truncated"),
    [HTTP_BAD_SLOW_READER] = BAD_ROW("slow_reader"),
    [HTTP_BAD_RESETS] = BAD_ROW("rapid_resets"),
    [HTTP_BAD_SETTINGS] = BAD_ROW("settings_flood"),
    [HTTP_BAD_PINGS] = BAD_ROW("ping_flood"),
    [HTTP_BAD_WINDOWS] = BAD_ROW("window_flood"),
    [HTTP_BAD_EMPTY_FRAMES] = BAD_ROW("empty_frames"),
    [HTTP_BAD_CONTINUATIONS] = BAD_ROW("continuation_flood"),
    [HTTP_BAD_FRAMES] = BAD_ROW("bad_frames"),
};

static const struct {
    unsigned status;
    enum http_bad reason;
} k_reasons[] = {
    {408, HTTP_BAD_TIMEOUT},     {413, HTTP_BAD_BODY_SIZE}, {414, HTTP_BAD_HEAD_SIZE},
    {417, HTTP_BAD_EXPECTATION}, {431, HTTP_BAD_HEAD_SIZE}, {501, HTTP_BAD_NOT_IMPLEMENTED},
    {505, HTTP_BAD_VERSION},
};

static void register_all(void)
{
    metrics_register(g_requests, sizeof g_requests / sizeof g_requests[0]);
    metrics_register(g_bad, sizeof g_bad / sizeof g_bad[0]);
}

void http_metrics_register(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, register_all);
}

void http_count_answer(unsigned status)
{
    unsigned row = status / 100 - 1;

    metric_add(&g_requests[row < N_CLASSES ? row : N_CLASSES - 1], 1);
}

void http_count_taken(void)
{
    metric_add(&g_requests[N_CLASSES], 1);
}

const char *http_count_bad(enum http_bad reason)
{
    metric_add(&g_bad[reason], 1);
    return g_bad[reason].labels; /* reason="syntax": a log value as it is */
}

enum http_bad http_bad_from_status(unsigned status)
{
    for (size_t i = 0; i < sizeof k_reasons / sizeof k_reasons[0]; i++)
        if (k_reasons[i].status == status)
            return k_reasons[i].reason;
    return HTTP_BAD_SYNTAX;
}
