/* The command. Each side has its own back-off; what a target does not take it does not get, and
 * nobody waits for it. */
#include "tests/tools/relay.h"

#include <stdlib.h>

#include "tests/tools/media_link.h"
#include "tests/tools/relay_gate.h"
#include "tests/tools/tool_run.h"

#define BACK_OFF_MS 500
#define MAX_BACK_OFF_MS 15000
#define JITTER 0.3
#define BEHIND_BYTES ((size_t)2 << 20) /* queued: frames are left out until a key frame */

struct relay_options {
    const char *from;
    struct option_texts to;
    double seconds;
    bool once;
    struct tool_options common;
};

/* A side that comes back. */
struct relay_side {
    struct relay *relay;
    const char *url;
    struct load_target target;
    struct media_pull *pull; /* the source's */
    struct media_push *push; /* a target's */
    struct timer retry;
    int64_t back_off_ms;
    bool is_running; /* accepted */
    struct relay_gate gate;
    uint64_t n_starts, n_frames;
    char why[320]; /* of its last end; "" */
};

struct relay {
    struct relay_options options;
    struct tool_run run;
    struct tool_figures figures;
    struct relay_side source, targets[OPTION_MAX_TEXTS];
    struct relay_heads heads;
    struct relay_clock clock;
    struct timer end;
    bool is_over; /* with --once: the source has ended */
};

#define OF(member) offsetof(struct relay_options, member)
/* clang-format off */
static const struct option_row k_rows[] = {
    {"FROM", "", OPTION_TEXT, 0, OF(from), 0, 0, false, "rtmp[s]:// or http[s]://, as for pull"},
    {"TO", "", OPTION_TEXTS, 0, OF(to), 0, 0, false, "rtmp[s]://, one or many"},
    {"--once", "", OPTION_FLAG, 0, OF(once), 0, 0, false,
     "end when FROM ends, instead of asking for it again"},
    {"--seconds", "S", OPTION_NUMBER, 0, OF(seconds), 0, 1e9, false,
     "then end; 0 = until it is interrupted (0)"},
    TOOL_OPTION_ROWS(0, OF(common)),
};
/* clang-format on */
static const struct option_table k_table = {k_rows, sizeof k_rows / sizeof k_rows[0], NULL};
static const struct tool_command k_command = {
    "relay", &k_table,
    "headwater-tool relay: one live stream to one or many servers, frames untouched\n"
    "\n"
    "usage: headwater-tool relay FROM TO [TO]... [OPTION]...\n",
    "Each server stands by itself: one that refuses, goes away or takes nothing for --timeout is\n"
    "tried again after 0.5 s, then twice as long each time up to 15 s, 30 % more or less. One "
    "that\n"
    "is too slow loses frames up to the next key frame. Time goes on when FROM comes back.\n"
    "\n"
    "example:\n"
    "  headwater-tool relay http://127.0.0.1:8080/live/a.flv rtmp://one.example/live/key \\\n"
    "    rtmps://two.example/app/key\n"
    "\n"
    "exit code: 0 every server had media; 1 one had none; 2 usage\n"};

/* --- sides --- */

static void retry_later(struct relay_side *side, const char *why)
{
    tool_say("%s", why);
    snprintf(side->why, sizeof side->why, "%s", why);
    side->is_running = false;
    relay_gate_close(&side->gate);
    timer_start_ms(&side->retry, jitter_ms(side->back_off_ms, JITTER));
    side->back_off_ms *= 2;
    if (side->back_off_ms > MAX_BACK_OFF_MS)
        side->back_off_ms = MAX_BACK_OFF_MS;
}

static void on_end(void *arg, enum err e, const char *why)
{
    struct relay_side *side = arg;
    struct relay *r = side->relay;

    (void)e;
    if (r->is_over) {
        side->is_running = false;
    } else if (side != &r->source || !r->options.once || !r->figures.n_frames) {
        retry_later(side, why);
    } else {
        r->is_over = true;
        loop_stop(r->run.loop);
    }
}

static void dial(struct relay_side *side);

static void on_started(void *arg)
{
    struct relay_side *side = arg;

    struct relay *r = side->relay;

    side->is_running = true;
    side->n_starts++;
    if (side != &r->source)
        return;
    relay_clock_begin(&r->clock);
    for (unsigned i = 0; i < r->options.to.n; i++)
        if (!r->targets[i].push)
            dial(&r->targets[i]);
}

/* --- media --- */

static bool send_body(struct relay_side *side, uint8_t type_id, int64_t time_us,
                      struct buf_view body)
{
    enum err e = media_push_write(side->push, type_id, (uint32_t)(time_us / 1000), body);
    char why[320], peer[ADDR_TEXT_SIZE];

    if (e == E_OK)
        return true;
    snprintf(why, sizeof why, "%s (%s): %s", side->url, addr_format(&side->target.addr, peer),
             err_text(e));
    retry_later(side, why);
    return false;
}

static bool send_heads(struct relay_side *side, int64_t time_us)
{
    const struct relay_heads *heads = &side->relay->heads;

    for (unsigned i = 0; i < heads->n; i++)
        if (!send_body(side, heads->each[i].type_id, time_us,
                       buf_writer_view(&heads->each[i].body)))
            return false;
    return true;
}

static void send_tag(struct relay_side *side, const struct media_tag *tag, int64_t time_us)
{
    enum relay_verdict verdict;
    bool is_behind;

    if (!side->is_running)
        return;
    is_behind = media_push_queued_bytes(side->push) > BEHIND_BYTES;
    verdict = relay_gate_judge(&side->gate, &side->relay->heads, tag, is_behind);
    if (verdict == RELAY_DROP || (verdict == RELAY_BEGIN && !send_heads(side, time_us)) ||
        !send_body(side, tag->type_id, time_us, tag->body))
        return;
    side->n_frames++;
    side->back_off_ms = BACK_OFF_MS;
}

static void on_tag(void *arg, const struct media_tag *tag)
{
    struct relay_side *source = arg;
    struct relay *r = source->relay;
    struct media_tag sent = *tag;

    if (r->is_over || relay_heads_note(&r->heads, tag) != E_OK)
        return;
    sent.dts_us = relay_clock_time(&r->clock, tag, loop_now_us(r->run.loop));
    tool_count(&r->figures, &sent);
    source->back_off_ms = BACK_OFF_MS;
    for (unsigned i = 0; i < r->options.to.n; i++)
        send_tag(&r->targets[i], &sent, sent.dts_us);
}

static const struct media_link_ops k_source_ops = {
    .on_started = on_started, .on_tag = on_tag, .on_end = on_end};
static const struct media_link_ops k_target_ops = {.on_started = on_started, .on_end = on_end};

/* --- life --- */

static void dial(struct relay_side *side)
{
    struct relay *r = side->relay;
    bool is_source = side == &r->source;
    const struct media_link_conf conf = {.loop = r->run.loop,
                                         .target = &side->target,
                                         .timeout_ms = (int64_t)(r->options.common.timeout_s * 1e3),
                                         .ops = is_source ? &k_source_ops : &k_target_ops,
                                         .arg = side};

    media_pull_close(&side->pull);
    media_push_close(&side->push);
    if (is_source)
        side->pull = media_pull_open(&conf);
    else
        side->push = media_push_open(&conf);
    if (!side->pull && !side->push)
        retry_later(side, err_text(E_NOMEM));
}

/* There is nothing to publish while there is no source. */
static void on_retry(struct timer *timer)
{
    struct relay_side *side = list_entry(timer, struct relay_side, retry);

    if (side == &side->relay->source || side->relay->source.is_running)
        dial(side);
    else
        timer_start_ms(timer, BACK_OFF_MS);
}

static void on_time_is_over(struct timer *timer)
{
    struct relay *r = list_entry(timer, struct relay, end);

    r->is_over = true;
    loop_stop(r->run.loop);
}

static enum err side_init(struct relay *r, struct relay_side *side, const char *url,
                          const char **why)
{
    *side = (struct relay_side){.relay = r, .url = url, .back_off_ms = BACK_OFF_MS};
    timer_init(&side->retry, r->run.loop, on_retry);
    return load_target_init(&side->target, url, why);
}

static void side_fini(struct relay_side *side)
{
    timer_stop(&side->retry);
    media_pull_close(&side->pull);
    media_push_close(&side->push);
}

static int open_all(struct relay *r)
{
    char why[256] = "";
    const char *text = why;

    if (tool_run_init(&r->run, &r->options.common, &r->figures, "relayed", why, sizeof why) != E_OK)
        return tool_usage_error(&k_command, "", why);
    if (side_init(r, &r->source, r->options.from, &text) != E_OK)
        return tool_usage_error(&k_command, r->options.from, text);
    for (unsigned i = 0; i < r->options.to.n; i++) {
        const char *url = r->options.to.each[i];

        if (side_init(r, &r->targets[i], url, &text) != E_OK)
            return tool_usage_error(&k_command, url, text);
        if (r->targets[i].target.is_http)
            return tool_usage_error(&k_command, url, "only rtmp and rtmps are pushed to");
    }
    return -1;
}

/* What was sent last is taken before the end, in a moment at most. */
static void say_goodbye(struct relay *r)
{
    int64_t end_us = clock_mono_us() + 500000;
    bool is_left = true;

    side_fini(&r->source);
    for (unsigned i = 0; i < r->options.to.n; i++)
        timer_stop(&r->targets[i].retry);
    for (unsigned i = 0; i < r->options.to.n; i++)
        if (r->targets[i].is_running)
            media_push_finish(r->targets[i].push);
    while (is_left && clock_mono_us() < end_us) {
        is_left = false;
        loop_turn(r->run.loop, true);
        for (unsigned i = 0; i < r->options.to.n; i++)
            is_left |= r->targets[i].is_running;
    }
}

static json_t *side_json(const struct relay_side *side)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:s}", "url", side->url, "connected",
                     (json_int_t)side->n_starts, "frames", (json_int_t)side->n_frames, "dropped",
                     (json_int_t)side->gate.n_dropped, "last_error", side->why);
}

static int conclude(struct relay *r)
{
    json_t *json, *targets = json_array();
    bool all_had_media = r->options.to.n > 0;

    for (unsigned i = 0; i < r->options.to.n; i++) {
        (void)json_array_append_new(targets, side_json(&r->targets[i]));
        all_had_media = all_had_media && r->targets[i].n_frames > 0;
    }
    json = tool_figures_json(&r->figures, all_had_media ? NULL : "not every target had media");
    if (json)
        (void)json_object_set_new(json, "source", side_json(&r->source));
    if (!json || json_object_set_new(json, "targets", targets) != 0)
        return 1;
    return tool_report(&r->run, json, !all_had_media);
}

static void run(struct relay *r)
{
    timer_init(&r->end, r->run.loop, on_time_is_over);
    if (r->options.seconds > 0)
        timer_start_ms(&r->end, (int64_t)(r->options.seconds * 1e3));
    r->figures.begin_us = clock_mono_us();
    dial(&r->source);
    tool_run_loop(&r->run);
    timer_stop(&r->end);
}

int relay_main(int argc, char **argv)
{
    static struct relay r = {.options = {.common = TOOL_OPTIONS_DEFAULT}};
    int status = tool_parse(&k_command, argc, argv, &r.options, &r.options.common);

    if (status >= 0)
        return status;
    if (!r.options.from || !r.options.to.n)
        return tool_usage_error(&k_command, "", "from where, to where?");
    status = open_all(&r);
    if (status < 0) {
        run(&r);
        r.is_over = true;
        say_goodbye(&r);
        status = conclude(&r);
    }
    side_fini(&r.source);
    for (unsigned i = 0; i < r.options.to.n; i++)
        side_fini(&r.targets[i]);
    relay_heads_fini(&r.heads);
    tool_run_fini(&r.run);
    return status;
}
