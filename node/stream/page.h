/* Pages of a feed: shared, append-only memory. The home loop writes and publishes; viewers on any
 * loop send straight from here. What is published never changes and never moves.
 *
 * References: a page owns one on its successor, so whoever holds a page holds all that follows. */
#ifndef HW_NODE_STREAM_PAGE_H
#define HW_NODE_STREAM_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"

#define PAGE_BYTES \
    16384u /* measured: smaller pages cost iovecs, larger ones memory on small streams */
#define PAGE_MARKS 96u
#define PAGE_INIT_BYTES \
    65536u /* init data of entry points in one page: then the next one is begun */
#define PAGE_COMPLETE 0x80000000u /* in used_bytes: the rest is final, and next is set */

/* What a viewer needs before an entry point: metadata and sequence headers, muxed with the entry's
 * time. Refcounted, immutable. */
struct feed_init {
    _Atomic uint32_t refs;
    uint32_t version; /* equal versions carry the same headers */
    size_t size_bytes;
    uint8_t bytes[];
};
/* Returns one reference, or NULL. Copies bytes. */
struct feed_init *feed_init_create(uint32_t version, struct buf_view bytes);
struct feed_init *feed_init_ref(struct feed_init *init);
void feed_init_unref(struct feed_init **init); /* NULL is fine */

/* Start of a unit (the smallest thing sent whole). */
struct feed_mark {
    uint32_t offset;        /* in the page's data */
    uint32_t version;       /* of the init data in effect after this unit */
    int64_t appended_us;    /* home loop's clock */
    uint64_t gop;           /* GOP the unit belongs to */
    struct feed_init *init; /* entry points only, owned; else NULL */
};

struct page_account { /* of one feed; outlives its pages */
    _Atomic uint32_t refs;
    _Atomic uint32_t n_pages; /* alive, wherever they are held */
};

struct feed_page {
    _Atomic uint32_t refs;
    uint64_t seq; /* grows by one along the chain */
    struct page_account *account;
    _Atomic(struct feed_page *) next; /* owned; look at it only when PAGE_COMPLETE is set */
    _Atomic uint32_t used_bytes;      /* published, with PAGE_COMPLETE */
    _Atomic uint32_t n_marks;         /* published */
    uint32_t written_bytes;           /* home loop only, as are the next two */
    uint32_t written_marks;
    size_t init_bytes;              /* home loop only: of the marks' init data */
    struct feed_page *written_next; /* becomes next when published */
    struct feed_mark marks[PAGE_MARKS];
    uint8_t data[PAGE_BYTES];
};

/* Home loop. One reference; account gets its own. NULL when out of memory. */
struct feed_page *page_create(struct page_account *account, uint64_t seq);
/* Any thread. */
struct feed_page *page_ref(struct feed_page *page);
void page_unref(struct feed_page **page); /* frees along the chain, iteratively; NULL is fine */
/* Home loop: makes all that was written from this page on visible, at once: a reader sees either
 * nothing of it or all, so that the end it sees never lies inside a unit. Lends the last page. */
struct feed_page *page_publish(struct feed_page *first);

struct page_account *page_account_create(void);
void page_account_unref(struct page_account **account);

/* --- positions, on any loop that holds the page --- */

struct feed_pos { /* borrowed page */
    struct feed_page *page;
    uint32_t offset;
};
/* Bytes of the page that are published; *next gets the successor when the page is complete. */
uint32_t page_published(struct feed_page *page, struct feed_page **next);
/* Moves a position at the end of a complete page to the start of the next one. */
void pos_normalise(struct feed_pos *pos);
/* -1, 0, 1 as a is before, at, after b. Both normalised. */
int pos_compare(const struct feed_pos *a, const struct feed_pos *b);
/* The mark that starts exactly at the position, or NULL. */
const struct feed_mark *pos_mark_at(const struct feed_pos *pos);
/* The mark of the unit that the position is in, as far as this page knows: NULL when the unit began
 * on an earlier page. */
const struct feed_mark *pos_mark_before(const struct feed_pos *pos);
/* Start of the next unit after the position, but not past limit. */
struct feed_pos pos_unit_end(struct feed_pos pos, const struct feed_pos *limit);

#endif
