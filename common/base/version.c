/* See version.h. The id is a note of the program file (elf(5), NT_GNU_BUILD_ID), and mapped with
 * it. */
#include "common/base/version.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ID_MAX_BYTES 32

struct build_id {
    const unsigned char *bytes; /* of the program: never freed */
    size_t size_bytes;
};

static size_t padded(size_t size_bytes)
{
    return (size_bytes + 3) & ~(size_t)3;
}

/* Notes one behind the other: a header, a name and a content, each padded to four bytes. */
static bool find_in_notes(const unsigned char *at, size_t left_bytes, struct build_id *out)
{
    ElfW(Nhdr) head;

    while (left_bytes >= sizeof head) {
        size_t size_bytes;

        memcpy(&head, at, sizeof head);
        size_bytes = sizeof head + padded(head.n_namesz) + padded(head.n_descsz);
        if (size_bytes > left_bytes)
            return false;
        if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == sizeof "GNU" &&
            memcmp(at + sizeof head, "GNU", sizeof "GNU") == 0) {
            *out = (struct build_id){at + sizeof head + padded(head.n_namesz), head.n_descsz};
            return true;
        }
        at += size_bytes;
        left_bytes -= size_bytes;
    }
    return false;
}

/* The program itself comes first; 1 ends the walk before its libraries. */
static int on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];

        if (part->p_type == PT_NOTE &&
            find_in_notes((const unsigned char *)(info->dlpi_addr + part->p_vaddr), part->p_memsz,
                          arg))
            break;
    }
    return 1;
}

const char *version_text(void)
{
    static char text[64 + 2 * ID_MAX_BYTES];
    struct build_id id = {NULL, 0};
    size_t used;

    if (text[0])
        return text;
    dl_iterate_phdr(on_object, &id);
    used = (size_t)snprintf(text, sizeof text, "%s build %s", HW_VERSION, id.bytes ? "" : "none");
    for (size_t i = 0; i < id.size_bytes && i < ID_MAX_BYTES; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%02x", id.bytes[i]);
    return text;
}
