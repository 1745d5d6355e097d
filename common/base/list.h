/* Intrusive doubly linked list. A node belongs to at most one list; an unlinked node points to
 * itself. One thread at a time. */
#ifndef HW_COMMON_BASE_LIST_H
#define HW_COMMON_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *prev;
};

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

#define list_entry_const(node, type, member) \
    ((const type *)(const void *)((const char *)(node)-offsetof(type, member)))

/* The body may unlink or free the current node. */
#define list_for_each_safe(node, tmp, head) \
    for ((node) = (head)->next; (tmp) = (node)->next, (node) != (head); (node) = (tmp))

static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

static inline void list_push_back(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Fine on an unlinked node. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The first node, unlinked; NULL when the list is empty. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = head->next;

    if (node == head)
        return NULL;
    list_remove(node);
    return node;
}

#endif
