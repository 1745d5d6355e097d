/* livego's rooms: each has one key, which is asked for again and again, and whoever publishes under
 * it publishes the room. A key is a stream key like others (/api/v1/stream-keys), made here in a
 * way that it can be made again: nothing but its hash is kept. Private to node/compat; control
 * loop. */
#ifndef HW_NODE_COMPAT_ROOMS_H
#define HW_NODE_COMPAT_ROOMS_H

#include "node/compat/compat_private.h"
#include "proto/access/stream_key.h"

#define ROOM_KEY_SIZE (STREAM_ROOM_KEY_BYTES + 1)

/* True: the room has this key. */
bool rooms_find(const struct compat *compat, const struct stream_name *room,
                char key[ROOM_KEY_SIZE]);
/* Makes another key; those that the room had end. As settings_put(). */
enum err rooms_make(struct compat *compat, const struct stream_name *room, char key[ROOM_KEY_SIZE],
                    settings_done *done, void *arg, struct conf_error *error);
/* All keys of the room end. As settings_remove(). */
enum err rooms_remove(struct compat *compat, const struct stream_name *room, settings_done *done,
                      void *arg, struct conf_error *error);

#endif
