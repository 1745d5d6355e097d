/* Which of the other servers' rooms are open. Apart from the rooms, for whoever only asks that. */
#include <string.h>

#include "node/compat/compat.h"
#include "node/conf.h"

static const char *const k_names[N_COMPATS] = {[COMPAT_LAL] = "lal", [COMPAT_LIVEGO] = "livego"};

enum compat_id compat_of_name(const char *text)
{
    unsigned id = 0;

    while (id < N_COMPATS && strcmp(k_names[id], text) != 0)
        id++;
    return (enum compat_id)id;
}

bool compat_has(const struct node_conf *conf, enum compat_id id)
{
    for (size_t i = 0; i < conf->compat.n_items; i++)
        if (compat_of_name(conf->compat.items[i]) == id)
            return true;
    return false;
}
