/* What both kinds of store share. */
#include "scheduler/store.h"

void store_destroy(struct store **store)
{
    if (*store)
        (*store)->ops->destroy(*store);
    *store = NULL;
}
