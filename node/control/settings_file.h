/* A file that is written whole, by a thread of its own: to a temporary file beside it, fsync,
 * rename. Whoever reads it finds what was before or what is now. Control loop. */
#ifndef HW_NODE_CONTROL_SETTINGS_FILE_H
#define HW_NODE_CONTROL_SETTINGS_FILE_H

#include "common/base/buf.h"
#include "common/base/conf.h"
#include "common/net/loop.h"

struct settings_file; /* opaque */

/* Starts the thread. on_written(): e E_OK, or E_IO with the reason (lent); on the loop. Returns
 * NULL with *error where the folder cannot be written to, or out of memory. */
struct settings_file *settings_file_open(const char *path, struct loop *loop,
                                         void (*on_written)(void *arg, enum err e, const char *why),
                                         void *arg, struct conf_error *error);
/* Ends the thread; on_written() is not called any more. text (not NULL data) is written before. */
void settings_file_close(struct settings_file **file, struct buf_view text);
/* One at a time: until on_written(). Takes what *text holds. */
bool settings_file_is_busy(const struct settings_file *file);
void settings_file_write(struct settings_file *file, struct buf_writer *text);

/* Reads it all into *out (initialised by the caller). E_NOT_FOUND: there is none. E_IO, E_TOO_BIG
 * with *error. Blocks: before the loops run. */
enum err settings_file_read(const char *path, struct buf_writer *out, struct conf_error *error);
/* Renames it to path.broken, or path.broken.<time> where there is one: nothing is overwritten.
 * False: it could not. */
bool settings_file_put_aside(const char *path, char *aside, size_t size);

#endif
