/* Pages of a feed: shared, append-only memory. The home loop writes and publishes; viewers on any
 * loop send straight from here. What is published never changes and never moves.
 *
 * A page's bytes are what lies in data[], and between that parts of frame bodies, which stay in the
 * frame: small bodies are copied, large ones exist once for all formats. Offsets count both.
 *
 * References: a page owns one on its successor, so whoever holds a page holds all that follows, and
 * one on the frame of each part. */
#ifndef HW_NODE_STREAM_PAGE_H
#define HW_NODE_STREAM_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common/base/buf.h"
#include "common/base/pool.h"
#include "common/media/frame.h"

/* Measured: smaller pages cost iovecs, larger ones memory on small streams. */
enum page_size {
    PAGE_SMALL, /* 4 KiB: tens of kbit/s */
    PAGE_LARGE, /* 16 KiB */
    PAGE_N_SIZES
};
#define PAGE_MAX_BYTES 262144u /* a page with so much is full: what its parts hold goes with it */
#define PAGE_PART_BYTES 2048u  /* shorter parts of bodies are copied: an iovec costs more */
#define PAGE_INIT_BYTES 65536u /* so much init data of entry points: then the next one is begun */
#define PAGE_COMPLETE 0x80000000u /* in used_bytes: the rest is final, and next is set */

/* What a viewer needs before an entry point: metadata and sequence headers, muxed with the entry's
 * time. Refcounted, immutable. */
struct feed_init {
    _Atomic uint32_t refs;
    uint32_t version; /* equal versions carry the same headers */
    uint64_t run;     /* of the encoder's session that the entry is of; 0 = unknown */
    size_t size_bytes;
    uint8_t bytes[];
};
/* Returns one reference, or NULL. Copies bytes. */
struct feed_init *feed_init_create(uint32_t version, struct buf_view bytes);
struct feed_init *feed_init_ref(struct feed_init *init);
void feed_init_unref(struct feed_init **init); /* NULL is fine */

/* Start of a unit (the smallest thing sent whole). */
struct feed_mark {
    uint32_t offset;        /* in the page */
    uint32_t version;       /* of the init data in effect after this unit */
    int64_t appended_us;    /* home loop's clock */
    uint64_t gop;           /* GOP the unit belongs to */
    struct feed_init *init; /* entry points only, owned; else NULL */
};

struct page_part {
    uint32_t offset, size_bytes;     /* in the page */
    uint32_t data_bytes;             /* of data[] before it */
    uint32_t body_offset;            /* where it begins in the frame's body */
    const struct media_frame *frame; /* owned */
};

struct feed_page {
    _Atomic uint32_t refs;
    enum page_size size;
    uint64_t seq;                     /* grows by one along the chain */
    uint64_t before_bytes;            /* memory of the chain, before this page */
    uint64_t before_marks;            /* units of the chain that begin before this page */
    _Atomic(struct feed_page *) next; /* owned; look at it only when PAGE_COMPLETE is set */
    _Atomic uint32_t used_bytes;      /* published, with PAGE_COMPLETE */
    _Atomic uint32_t n_marks;         /* published */
    _Atomic uint32_t n_parts;         /* published */
    struct feed_mark *marks;          /* these three lie behind the page, in one block */
    struct page_part *parts;
    uint8_t *data;

    /* home loop only */
    uint32_t written_bytes, written_marks, written_parts, written_data;
    size_t init_bytes;              /* of the marks' init data */
    struct feed_page *written_next; /* becomes next when published */
};

/* --- writing: home loop --- */

/* One reference. before_bytes: memory of the chain before it. NULL when out of memory. */
struct feed_page *page_create(struct pool *pool, enum page_size size, uint64_t seq,
                              uint64_t before_bytes);
/* What the page keeps alive: its block, the parts it was lent, its init data. */
size_t page_memory_bytes(const struct feed_page *page);
/* No unit may begin here any more. */
bool page_is_full(const struct feed_page *page);
/* A unit begins: lends its mark, to be filled. The page is not full. */
struct feed_mark *page_begin_unit(struct feed_page *page);
/* Was nothing written of the unit begun last? Not when it began on an earlier page. */
static inline bool page_unit_is_empty(const struct feed_page *page)
{
    return page->written_marks &&
           page->marks[page->written_marks - 1].offset == page->written_bytes;
}
/* Takes the unit begun last back, with its init data, if nothing was written of it; else false. */
bool page_cancel_unit(struct feed_page *page, size_t *init_bytes);
/* Copies as much as there is room for and advances *in past it. */
void page_copy(struct feed_page *page, struct buf_reader *in);
/* The part of frame's body becomes the next bytes of the page. False: no room. */
bool page_lend(struct feed_page *page, const struct media_frame *frame, struct buf_view part);
/* Makes all that was written from this page on visible, at once: a reader sees either nothing of it
 * or all, so that the end it sees never lies inside a unit. Lends the last page. */
struct feed_page *page_publish(struct feed_page *first);

/* --- any thread --- */

struct feed_page *page_ref(struct feed_page *page);
void page_unref(struct feed_page **page); /* frees along the chain, iteratively; NULL is fine */

/* --- positions, on any loop that holds the page --- */

struct feed_pos { /* borrowed page */
    struct feed_page *page;
    uint32_t offset;
};
/* Bytes of the page that are published; *next gets the successor when the page is complete. */
uint32_t page_published(struct feed_page *page, struct feed_page **next);
/* Bytes of the page from *offset to limit (published) as at most max iovecs, and *offset advanced
 * past them. Gives their number. */
int page_gather(const struct feed_page *page, uint32_t *offset, uint32_t limit, struct iovec *iov,
                int max);
/* Moves a position at the end of a complete page to the start of the next one. */
void pos_normalise(struct feed_pos *pos);
/* -1, 0, 1 as a is before, at, after b. Both normalised. */
int pos_compare(const struct feed_pos *a, const struct feed_pos *b);
/* The mark that starts exactly at the position, or NULL. */
const struct feed_mark *pos_mark_at(const struct feed_pos *pos);
/* The mark of the unit that the position is in, as far as this page knows: NULL when the unit began
 * on an earlier page. */
const struct feed_mark *pos_mark_before(const struct feed_pos *pos);
/* Units of the chain that begin before the position. */
uint64_t pos_units_before(const struct feed_pos *pos);
/* Start of the next unit after the position, but not past limit. */
struct feed_pos pos_unit_end(struct feed_pos pos, const struct feed_pos *limit);

#endif
