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

struct page_account *page_account_create(void)
{
    struct page_account *account = calloc(1, sizeof *account);

    if (account)
        atomic_init(&account->refs, 1);
    return account;
}

void page_account_unref(struct page_account **account)
{
    struct page_account *gone = *account;

    *account = NULL;
    if (gone && atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) == 1)
        free(gone);
}

struct feed_page *page_create(struct page_account *account, uint64_t seq)
{
    struct feed_page *page = malloc(sizeof *page);

    if (!page)
        return NULL;
    atomic_init(&page->refs, 1);
    page->seq = seq;
    page->account = account;
    atomic_fetch_add_explicit(&account->refs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&account->n_pages, 1, memory_order_relaxed);
    atomic_init(&page->next, NULL);
    atomic_init(&page->used_bytes, 0);
    atomic_init(&page->n_marks, 0);
    page->written_bytes = 0;
    page->written_marks = 0;
    page->init_bytes = 0;
    page->written_next = NULL;
    return page;
}

struct feed_page *page_ref(struct feed_page *page)
{
    atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
    return page;
}

static void page_free(struct feed_page *page)
{
    for (uint32_t i = 0; i < page->written_marks; i++)
        feed_init_unref(&page->marks[i].init);
    atomic_fetch_sub_explicit(&page->account->n_pages, 1, memory_order_relaxed);
    page_account_unref(&page->account);
    free(page);
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

static void publish_one(struct feed_page *page)
{
    struct feed_page *next = page->written_next;

    atomic_store_explicit(&page->n_marks, page->written_marks, memory_order_release);
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
