/* Pages: the only memory that media loops share. A batch of units becomes visible by one store: to
 * used_bytes of the page in which it begins, which also says whether there is a next page. */
#include "node/stream/page.h"

#include <stdlib.h>
#include <string.h>

struct feed_init *feed_init_create(uint32_t version, struct buf_view bytes)
{
    struct feed_init *init = malloc(sizeof *init + bytes.size_bytes);

    if (!init)
        return NULL;
    atomic_init(&init->refs, 1);
    init->version = version;
    init->size_bytes = bytes.size_bytes;
    if (bytes.size_bytes)
        memcpy(init->bytes, bytes.data, bytes.size_bytes);
    return init;
}

struct feed_init *feed_init_ref(struct feed_init *init)
{
    atomic_fetch_add_explicit(&init->refs, 1, memory_order_relaxed);
    return init;
}

void feed_init_unref(struct feed_init **init)
{
    struct feed_init *gone = *init;

    *init = NULL;
    if (gone && atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) == 1)
        free(gone);
}

/* --- writing --- */

static const struct {
    unsigned block; /* index into k_pool_block_bytes */
    uint32_t max_marks, max_parts;
} k_sizes[PAGE_N_SIZES] = {
    [PAGE_SMALL] = {0, 24, 8},
    [PAGE_LARGE] = {1, 96, 64},
};

static uint32_t max_data(enum page_size size)
{
    return (uint32_t)(k_pool_block_bytes[k_sizes[size].block] - sizeof(struct feed_page) -
                      k_sizes[size].max_marks * sizeof(struct feed_mark) -
                      k_sizes[size].max_parts * sizeof(struct page_part));
}

struct feed_page *page_create(struct pool *pool, enum page_size size, uint64_t seq,
                              uint64_t before_bytes)
{
    struct feed_page *page = pool_take(pool, k_sizes[size].block);

    if (!page)
        return NULL;
    memset(page, 0, sizeof *page);
    atomic_init(&page->refs, 1);
    page->size = size;
    page->seq = seq;
    page->before_bytes = before_bytes;
    page->marks = (struct feed_mark *)(page + 1);
    page->parts = (struct page_part *)(page->marks + k_sizes[size].max_marks);
    page->data = (uint8_t *)(page->parts + k_sizes[size].max_parts);
    return page;
}

size_t page_memory_bytes(const struct feed_page *page)
{
    return k_pool_block_bytes[k_sizes[page->size].block] + page->init_bytes +
           (page->written_bytes - page->written_data);
}

bool page_is_full(const struct feed_page *page)
{
    return page->written_marks == k_sizes[page->size].max_marks ||
           page->written_data == max_data(page->size) || page->written_bytes >= PAGE_MAX_BYTES ||
           page->init_bytes >= PAGE_INIT_BYTES;
}

struct feed_mark *page_begin_unit(struct feed_page *page)
{
    struct feed_mark *mark = &page->marks[page->written_marks++];

    *mark = (struct feed_mark){.offset = page->written_bytes};
    return mark;
}

bool page_cancel_unit(struct feed_page *page, size_t *init_bytes)
{
    struct feed_mark *mark;

    if (!page_unit_is_empty(page))
        return false;
    mark = &page->marks[page->written_marks - 1];
    *init_bytes = mark->init ? mark->init->size_bytes : 0;
    page->init_bytes -= *init_bytes;
    feed_init_unref(&mark->init);
    page->written_marks--;
    return true;
}

void page_copy(struct feed_page *page, struct buf_reader *in)
{
    uint32_t room = max_data(page->size) - page->written_data;
    struct buf_view piece = buf_take(in, in->left_bytes < room ? in->left_bytes : room);

    if (!piece.size_bytes)
        return;
    memcpy(page->data + page->written_data, piece.data, piece.size_bytes);
    page->written_data += (uint32_t)piece.size_bytes;
    page->written_bytes += (uint32_t)piece.size_bytes;
}

bool page_lend(struct feed_page *page, const struct media_frame *frame, struct buf_view part)
{
    if (page->written_parts == k_sizes[page->size].max_parts ||
        page->written_bytes >= PAGE_MAX_BYTES)
        return false;
    page->parts[page->written_parts++] =
        (struct page_part){.offset = page->written_bytes,
                           .size_bytes = (uint32_t)part.size_bytes,
                           .data_bytes = page->written_data,
                           .body_offset = (uint32_t)(part.data - frame->body),
                           .frame = media_frame_ref(frame)};
    page->written_bytes += (uint32_t)part.size_bytes;
    return true;
}

static void publish_one(struct feed_page *page)
{
    struct feed_page *next = page->written_next;

    atomic_store_explicit(&page->n_marks, page->written_marks, memory_order_release);
    atomic_store_explicit(&page->n_parts, page->written_parts, memory_order_release);
    if (next)
        atomic_store_explicit(&page->next, next, memory_order_release);
    atomic_store_explicit(&page->used_bytes, page->written_bytes | (next ? PAGE_COMPLETE : 0u),
                          memory_order_release);
}

struct feed_page *page_publish(struct feed_page *first)
{
    struct feed_page *last = first;

    while (last->written_next) {
        last = last->written_next;
        publish_one(last);
    }
    publish_one(first); /* nobody gets past it before this */
    return last;
}

/* --- references --- */

struct feed_page *page_ref(struct feed_page *page)
{
    atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
    return page;
}

static void page_free(struct feed_page *page)
{
    for (uint32_t i = 0; i < page->written_marks; i++)
        feed_init_unref(&page->marks[i].init);
    for (uint32_t i = 0; i < page->written_parts; i++)
        media_frame_unref(&page->parts[i].frame);
    pool_give(page);
}

void page_unref(struct feed_page **page)
{
    struct feed_page *gone = *page;

    *page = NULL;
    while (gone && atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) == 1) {
        struct feed_page *next = atomic_load_explicit(&gone->next, memory_order_acquire);

        page_free(gone);
        gone = next;
    }
}

uint32_t page_published(struct feed_page *page, struct feed_page **next)
{
    uint32_t used = atomic_load_explicit(&page->used_bytes, memory_order_acquire);

    *next = used & PAGE_COMPLETE ? atomic_load_explicit(&page->next, memory_order_relaxed) : NULL;
    return used & ~PAGE_COMPLETE;
}

/* The first published part that ends behind offset; n_parts if there is none. */
static uint32_t part_at(const struct feed_page *page, uint32_t offset, uint32_t n_parts)
{
    uint32_t low = 0, high = n_parts;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (page->parts[middle].offset + page->parts[middle].size_bytes > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* sendmsg() does not write there, but an iovec has no const. */
static struct iovec iovec_of(const uint8_t *bytes, size_t size_bytes)
{
    union {
        const uint8_t *borrowed;
        void *base;
    } u = {bytes};

    return (struct iovec){u.base, size_bytes};
}

/* Bytes of data[] at the offset, which lies behind all parts before i. */
static const uint8_t *data_at(const struct feed_page *page, uint32_t i, uint32_t offset)
{
    const struct page_part *before = i ? &page->parts[i - 1] : NULL;

    uint32_t lent_bytes = before ? before->offset + before->size_bytes - before->data_bytes : 0;

    return page->data + (offset - lent_bytes);
}

int page_gather(const struct feed_page *page, uint32_t *offset, uint32_t limit, struct iovec *iov,
                int max)
{
    uint32_t n_parts = atomic_load_explicit(&page->n_parts, memory_order_acquire);
    uint32_t i = part_at(page, *offset, n_parts);
    int n = 0;

    while (*offset < limit && n < max) {
        const struct page_part *part = i < n_parts ? &page->parts[i] : NULL;
        bool inside = part && *offset >= part->offset;
        uint32_t end = !part ? limit : inside ? part->offset + part->size_bytes : part->offset;

        end = end < limit ? end : limit;
        if (inside)
            iov[n++] = iovec_of(part->frame->body + part->body_offset + (*offset - part->offset),
                                end - *offset);
        else
            iov[n++] = iovec_of(data_at(page, i, *offset), end - *offset);
        *offset = end;
        i += inside;
    }
    return n;
}

void pos_normalise(struct feed_pos *pos)
{
    struct feed_page *next;

    while (pos->offset >= page_published(pos->page, &next) && next) {
        pos->page = next;
        pos->offset = 0;
    }
}

int pos_compare(const struct feed_pos *a, const struct feed_pos *b)
{
    if (a->page != b->page)
        return a->page->seq < b->page->seq ? -1 : 1;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* Index of the first published mark with offset > pos->offset. */
static uint32_t first_mark_after(const struct feed_pos *pos)
{
    uint32_t low = 0;
    uint32_t high = atomic_load_explicit(&pos->page->n_marks, memory_order_acquire);

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (pos->page->marks[middle].offset > pos->offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

const struct feed_mark *pos_mark_before(const struct feed_pos *pos)
{
    uint32_t after = first_mark_after(pos);

    return after ? &pos->page->marks[after - 1] : NULL;
}

const struct feed_mark *pos_mark_at(const struct feed_pos *pos)
{
    const struct feed_mark *mark = pos_mark_before(pos);

    return mark && mark->offset == pos->offset ? mark : NULL;
}

uint64_t pos_units_before(const struct feed_pos *pos)
{
    struct feed_pos byte_before = {pos->page, pos->offset - 1};

    return pos->page->before_marks + (pos->offset ? first_mark_after(&byte_before) : 0);
}

struct feed_pos pos_unit_end(struct feed_pos pos, const struct feed_pos *limit)
{
    while (pos_compare(&pos, limit) < 0) {
        uint32_t after = first_mark_after(&pos);
        struct feed_page *next;

        if (after < atomic_load_explicit(&pos.page->n_marks, memory_order_acquire)) {
            pos.offset = pos.page->marks[after].offset;
            return pos_compare(&pos, limit) < 0 ? pos : *limit;
        }
        (void)page_published(pos.page, &next);
        if (!next)
            break;
        pos.page = next;
        pos.offset = 0;
        if (pos_mark_at(&pos))
            return pos_compare(&pos, limit) < 0 ? pos : *limit;
    }
    return *limit;
}
