/* Messages of settings, and the state file.
 * links: proto/cluster */
#include <stdlib.h>
#include <string.h>

#include "proto/cluster/cluster.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct cluster_settings *a, const struct cluster_settings *b)
{
    if (a->run != b->run || a->seq != b->seq || a->more != b->more ||
        a->n_settings != b->n_settings)
        abort();
    for (size_t i = 0; i < a->n_settings; i++) {
        const struct cluster_setting *x = &a->settings[i], *y = &b->settings[i];

        if (strcmp(x->kind, y->kind) != 0 || strcmp(x->id, y->id) != 0 ||
            x->version != y->version || strcmp(x->origin, y->origin) != 0 || !x->item != !y->item ||
            (x->item && strcmp(x->item, y->item) != 0))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct cluster_settings first, second;
    struct cluster_error error;
    struct buf_writer w;

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    buf_writer_init(&w, 64u << 20);
    if (cluster_settings_decode(buf_view_of(copy, size), &first, &error) == E_OK) {
        if (cluster_settings_encode(&first, &w) != E_OK ||
            cluster_settings_decode(buf_writer_view(&w), &second, &error) != E_OK)
            abort();
        check_same(&first, &second);
        cluster_settings_fini(&first);
        cluster_settings_fini(&second);
    }
    buf_writer_fini(&w);
    free(copy);
    return 0;
}
