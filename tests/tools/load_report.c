/* Figures out: JSON for programs, a few lines for people. */
#include "tests/tools/load_report.h"

#include <stdio.h>
#include <string.h>

/* Above these the tool itself was too slow for its figures to say much about a server. */
#define MAX_CPU 0.85
#define MAX_LATE_US 20000
#define MAX_TURN_MS 200.0

/* What made the tool the bottleneck, or "". Returns why. */
static const char *bottleneck(const struct load_outcome *o, char why[160])
{
    int64_t late_us = load_hist_quantile_us(&o->publishers->late, 0.99);
    struct buf_writer w;

    buf_writer_init(&w, 159);
    if (o->cpu > MAX_CPU)
        buf_printf(&w, "; the tool used %.0f %% of a core", o->cpu * 100);
    if (late_us > MAX_LATE_US)
        buf_printf(&w, "; 1 %% of the frames were sent more than %.0f ms late",
                   (double)late_us / 1e3);
    if (o->turn_ms_max > MAX_TURN_MS)
        buf_printf(&w, "; a turn of its loop took %.0f ms", o->turn_ms_max);
    if (!buf_view_to_str(buf_writer_view(&w), why, 160))
        why[0] = '\0';
    buf_writer_fini(&w);
    if (why[0])
        memmove(why, why + 2, strlen(why + 2) + 1); /* the first "; " */
    return why;
}

static json_t *publishers_json(const struct load_publishers *p)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o}", "asked", (json_int_t)p->n_asked, "connected",
                     (json_int_t)p->n_connected, "lost", (json_int_t)p->n_lost, "frames",
                     (json_int_t)p->frames, "bytes", (json_int_t)p->bytes, "late_ms",
                     load_hist_json(&p->late));
}

static json_t *group_json(const struct load_group *g)
{
    json_t *latency = json_pack("{s:o, s:o}", "video", load_hist_json(&g->latency[LOAD_VIDEO]),
                                "audio", load_hist_json(&g->latency[LOAD_AUDIO]));

    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}",
                     "url", g->options->url, "asked", (json_int_t)g->n_asked, "playing",
                     (json_int_t)g->n_playing, "lost", (json_int_t)g->n_lost, "refused",
                     (json_int_t)g->n_refused, "slow_bps", (json_int_t)g->options->slow_bps,
                     "bytes", (json_int_t)g->bytes, "frames", (json_int_t)g->frames, "reads",
                     (json_int_t)g->reads, "stalls", (json_int_t)g->stalls, "backward",
                     (json_int_t)g->backward, "first_byte_ms", load_hist_json(&g->first_byte),
                     "first_key_ms", load_hist_json(&g->first_key), "latency_ms", latency);
}

static json_t *outcome_json(const struct load_outcome *o)
{
    json_t *groups = json_array();
    char why[160];

    bottleneck(o, why);
    for (unsigned i = 0; i < o->n_groups; i++)
        json_array_append_new(groups, group_json(&o->groups[i]));
    return json_pack("{s:f, s:o, s:o, s:{s:f, s:f, s:b, s:s}}", "seconds", o->seconds, "publishers",
                     publishers_json(o->publishers), "players", groups, "load", "cpu", o->cpu,
                     "turn_ms_max", o->turn_ms_max, "bottleneck", why[0] != '\0', "why", why);
}

enum err load_report_json(const struct load_outcome *o, const char *path)
{
    json_t *json = outcome_json(o);
    bool to_stdout = !strcmp(path, "-"), is_written;
    char part[4096];

    if (!json)
        return E_NOMEM;
    if (to_stdout) {
        is_written = json_dumpf(json, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(7)) == 0 &&
                     putchar('\n') != EOF && fflush(stdout) == 0;
    } else {
        snprintf(part, sizeof part, "%s.part", path);
        is_written = json_dump_file(json, part, JSON_INDENT(1) | JSON_REAL_PRECISION(7)) == 0 &&
                     rename(part, path) == 0;
    }
    json_decref(json);
    return is_written ? E_OK : E_IO;
}

static void group_text(const struct load_group *g, double seconds, FILE *out)
{
    char text[96];

    fprintf(out, "players of %s: %u of %u play, %u lost, %u refused\n", g->options->url,
            g->n_playing, g->n_asked, g->n_lost, g->n_refused);
    fprintf(out, "  %.0f frames/s in %.0f reads/s, %.2f Mbit/s, %llu stalls, %llu backward\n",
            (double)g->frames / seconds, (double)g->reads / seconds,
            (double)g->bytes * 8e-6 / seconds, (unsigned long long)g->stalls,
            (unsigned long long)g->backward);
    fprintf(out, "  first byte    %s\n", load_hist_text(&g->first_byte, text));
    fprintf(out, "  first key     %s\n", load_hist_text(&g->first_key, text));
    fprintf(out, "  video latency %s\n", load_hist_text(&g->latency[LOAD_VIDEO], text));
    fprintf(out, "  audio latency %s\n", load_hist_text(&g->latency[LOAD_AUDIO], text));
}

void load_report_text(const struct load_outcome *o, FILE *out)
{
    const struct load_publishers *p = o->publishers;
    double seconds = o->seconds > 0 ? o->seconds : 1;
    char text[160];

    if (p->n_asked) {
        fprintf(out, "publishers: %u of %u connected, %u lost\n", p->n_connected, p->n_asked,
                p->n_lost);
        fprintf(out, "  %.0f frames/s, %.2f Mbit/s\n", (double)p->frames / seconds,
                (double)p->bytes * 8e-6 / seconds);
        fprintf(out, "  sent late     %s\n", load_hist_text(&p->late, text));
    }
    for (unsigned i = 0; i < o->n_groups; i++)
        group_text(&o->groups[i], seconds, out);
    fprintf(out, "window %.1f s; this tool: %.0f %% of a core, longest turn %.1f ms\n", o->seconds,
            o->cpu * 100, o->turn_ms_max);
    if (bottleneck(o, text)[0])
        fprintf(out, "THE TOOL WAS THE BOTTLENECK: %s\n", text);
}

bool load_outcome_is_bad(const struct load_outcome *o)
{
    bool bad = o->publishers->n_connected < o->publishers->n_asked || o->publishers->n_lost > 0;

    for (unsigned i = 0; i < o->n_groups; i++)
        bad |= o->groups[i].n_playing < o->groups[i].n_asked;
    return bad;
}
