/* The settings of this node and those of the cluster: who brings them together. Control loop. */
#ifndef HW_NODE_CONTROL_SETTINGS_SYNC_H
#define HW_NODE_CONTROL_SETTINGS_SYNC_H

#include "node/control/settings.h"
#include "proto/cluster/cluster.h"

/* wanted(arg) says that something is to be brought to the scheduler, or that somebody waits for a
 * round; from a later turn than the change. */
void settings_set_cluster(struct settings *settings, void (*wanted)(void *arg), void *arg);

/* A round brings all that is untold. Who put something before it began is answered at its end:
 * the cluster has it, or nobody answers. */
void settings_round_begin(struct settings *settings);
void settings_round_end(struct settings *settings);

/* Another scheduler, of which it is not known what it has: all is untold. */
void settings_forget_told(struct settings *settings);
/* Up to max of what is untold; to be freed by cluster_settings_fini(). E_NOMEM. */
enum err settings_untold(const struct settings *settings, size_t max, struct cluster_settings *out);
/* The scheduler has these now. */
void settings_told(struct settings *settings, const struct cluster_settings *m);
/* What the scheduler has: what is newer than here counts. */
void settings_merge(struct settings *settings, const struct cluster_settings *m);

/* state.file: reads it, and keeps everything there from now on. A broken one is put aside, and
 * said. E_OK, or the reason in *error why this node must not start. Before the loops run. */
enum err settings_keep(struct settings *settings, const char *path, struct conf_error *error);
/* Writes what is not written yet, and no more from now on: another process has the file. */
void settings_keep_no_more(struct settings *settings);
/* That process: the one before has written the last that it was told. */
void settings_keep_also(struct settings *settings, const char *path);

#endif
