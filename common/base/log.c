/* Log lines. The write path takes no lock: the target is one descriptor number that stays open for
 * as long as lines may be written; log_open() and log_reopen() change what it refers to (dup3). */
#include "common/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/date.h"
#include "common/base/utf8.h"

enum {
    LINE_BYTES = 2048
}; /* with the line feed; below PIPE_BUF, so pipes do not mix lines either */

static const char *const k_level_names[] = {"debug", "info", "warn", "error"};

static _Atomic int target_fd = STDERR_FILENO;
static _Atomic int min_level = LOG_INFO;

/* What follows is for log_open(), log_reopen() and log_close() alone. */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static int file_fd = -1; /* once open it stays so until log_close(): see the top */
static char file_path[PATH_MAX];

/* Makes file_fd refer to path, or to stderr for "". Under open_lock. */
static enum err open_target(const char *path)
{
    int fd;

    if (path[0] == '\0') {
        atomic_store(&target_fd, STDERR_FILENO);
        if (file_fd >= 0) /* for a line that is on its way there */
            dup3(STDERR_FILENO, file_fd, O_CLOEXEC);
        return E_OK;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        return E_IO;
    if (file_fd < 0) {
        file_fd = fd;
    } else {
        int moved = dup3(fd, file_fd, O_CLOEXEC);
        int saved = errno;

        close(fd);
        errno = saved;
        if (moved < 0)
            return E_IO;
    }
    atomic_store(&target_fd, file_fd);
    return E_OK;
}

enum err log_open(const char *path)
{
    size_t size = strlen(path) + 1;
    enum err e;

    if (size > sizeof file_path) {
        errno = ENAMETOOLONG;
        return E_IO;
    }
    pthread_mutex_lock(&open_lock);
    e = open_target(path);
    if (e == E_OK)
        memcpy(file_path, path, size);
    pthread_mutex_unlock(&open_lock);
    return e;
}

enum err log_reopen(void)
{
    enum err e;

    pthread_mutex_lock(&open_lock);
    e = open_target(file_path);
    pthread_mutex_unlock(&open_lock);
    return e;
}

void log_close(void)
{
    pthread_mutex_lock(&open_lock);
    atomic_store(&target_fd, STDERR_FILENO);
    if (file_fd >= 0)
        close(file_fd);
    file_fd = -1;
    file_path[0] = '\0';
    pthread_mutex_unlock(&open_lock);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&min_level, (int)level, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&min_level, memory_order_relaxed);
}

/* "2026-01-02T03:04:05.000Z" */
static const char *second_text(time_t second)
{
    static _Thread_local struct {
        time_t second;
        char text[DATE_SIZE]; /* "" until first made */
    } last;                   /* lines come in bursts, and this is half the work of a short one */

    if (last.second != second || !last.text[0]) {
        date_format((int64_t)second * 1000000, last.text);
        last.second = second;
    }
    return last.text;
}

/* And a space behind it; where the next word goes. */
static char *put_word(char *at, const char *word, size_t max_bytes)
{
    size_t size = strnlen(word, max_bytes);

    memcpy(at, word, size);
    at[size] = ' ';
    return at + size + 1;
}

/* "2026-01-02T03:04:05.678Z info rtmp "; the number of bytes. By hand: it is as much work as the
 * rest of a line otherwise. */
static size_t write_head(char *line, enum log_level level, const char *area)
{
    struct timespec now;
    unsigned ms;
    char *at = line + DATE_SECOND_BYTES;

    clock_gettime(CLOCK_REALTIME, &now);
    ms = (unsigned)(now.tv_nsec / 1000000);
    memcpy(line, second_text(now.tv_sec), DATE_SECOND_BYTES);
    *at++ = '.';
    *at++ = (char)('0' + ms / 100);
    *at++ = (char)('0' + ms / 10 % 10);
    *at++ = (char)('0' + ms % 10);
    at = put_word(at, "Z", 1);
    at = put_word(at, k_level_names[level], 8);
    at = put_word(at, area, 32);
    return (size_t)(at - line);
}

/* Cuts the line after whole characters so that "..." fits in size; the new number of bytes. */
static size_t cut_line(char *line, size_t size)
{
    size_t used = size - 3;

    while (used > 0 && ((unsigned char)line[used] & 0xc0) == 0x80)
        used--;
    memcpy(line + used, "...", 3);
    return used + 3;
}

static bool is_control(char byte)
{
    return (unsigned char)byte < 0x20 || byte == 0x7f;
}

/* Has one of the eight bytes such a byte? For each of them the highest bit tells: of byte - 0x20,
 * of (byte ^ 0x7f) - 1, where it was not there before. */
static bool has_control(const char bytes[8])
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t x, del;

    memcpy(&x, bytes, sizeof x);
    del = x ^ ones * 0x7f;
    return (((x - ones * 0x20) & ~x) | ((del - ones) & ~del)) & ones * 0x80;
}

/* Whatever a caller forgot to quote: one line an event. */
static void hide_controls(char *text, size_t size)
{
    size_t i = 0;

    while (i < size) {
        if (size - i >= 8 && !has_control(text + i)) {
            i += 8;
            continue;
        }
        if (is_control(text[i]))
            text[i] = '?';
        i++;
    }
}

void log_line(enum log_level level, const char *area, const char *format, ...)
{
    char line[LINE_BYTES + 1]; /* vsnprintf()'s zero takes the place of the line feed */
    int saved_errno = errno;
    va_list args;
    size_t head, used;
    int n;

    if (!log_is_on(level))
        return;
    head = write_head(line, level, area);
    va_start(args, format);
    n = vsnprintf(line + head, LINE_BYTES - head, format, args);
    va_end(args);
    used = head + (n > 0 ? (size_t)n : 0);
    if (used > LINE_BYTES - 1)
        used = cut_line(line, LINE_BYTES - 1);
    hide_controls(line + head, used - head);
    line[used++] = '\n';
    while (write(atomic_load(&target_fd), line, used) < 0 && errno == EINTR)
        ;
    errno = saved_errno;
}

/* One piece of a log value as it is shown: a whole character, an escape of it, or of one byte. */
struct piece {
    char text[8];
    size_t size;
    bool escaped; /* the value must be quoted */
};

/* Most of all text, and no need to look closer. */
static bool is_plain(uint8_t byte)
{
    return byte > ' ' && byte < 0x7f && byte != '"' && byte != '\\' && byte != '=';
}

static bool next_piece(struct buf_reader *in, struct piece *out)
{
    static const char k_names[] = "\"\"\\\\\nn\rr\tt"; /* byte, letter of its escape */
    struct buf_reader at = *in;
    uint32_t c = 0;
    enum err e;

    if (in->left_bytes && is_plain(*in->at)) {
        out->text[0] = (char)*buf_take(in, 1).data;
        out->size = 1;
        out->escaped = false;
        return true;
    }
    e = utf8_read(in, &c);
    if (e == E_END)
        return false;
    for (size_t i = 0; e == E_OK && i + 1 < sizeof k_names; i += 2) {
        if (c == (uint8_t)k_names[i]) {
            *out = (struct piece){{'\\', k_names[i + 1]}, 2, true};
            return true;
        }
    }
    if (e == E_OK && (c == ' ' || utf8_is_visible(c))) {
        *out =
            (struct piece){.size = at.left_bytes - in->left_bytes, .escaped = c == ' ' || c == '='};
        memcpy(out->text, at.at, out->size);
        return true;
    }
    *in = at; /* not UTF-8, or not fit to be shown: byte by byte */
    out->size = (size_t)snprintf(out->text, sizeof out->text, "\\x%02x", buf_read_u8(in));
    out->escaped = true;
    return true;
}

/* Most values: between quotes, if need be, they are shown as they are. */
static bool is_shown_whole(struct buf_view text, bool *quoted)
{
    *quoted = text.size_bytes == 0;
    for (size_t i = 0; i < text.size_bytes; i++) {
        if (text.data[i] == ' ' || text.data[i] == '=')
            *quoted = true;
        else if (!is_plain(text.data[i]))
            return false;
    }
    return true;
}

static const char *quote_whole(struct buf_view text, bool quoted, char *out)
{
    char *at = out;

    if (quoted)
        *at++ = '"';
    memcpy(at, text.data, text.size_bytes);
    at += text.size_bytes;
    if (quoted)
        *at++ = '"';
    *at = '\0';
    return out;
}

static bool needs_quotes(struct buf_view text)
{
    struct buf_reader in = buf_reader_from(text);
    struct piece piece;

    while (next_piece(&in, &piece))
        if (piece.escaped)
            return true;
    return text.size_bytes == 0;
}

const char *log_quote(const char *text, char *out, unsigned size)
{
    struct buf_view view = buf_view_str(text ? text : "");
    struct buf_reader in = buf_reader_from(view);
    struct piece piece;
    size_t used = 0, cut_at = 0, tail; /* cut_at: where "..." still fits */
    bool quoted;

    if (size < 8) { /* no room for even "..." */
        if (size)
            out[0] = '\0';
        return out;
    }
    if (is_shown_whole(view, &quoted) && view.size_bytes + 3 <= size)
        return quote_whole(view, quoted, out);
    tail = needs_quotes(view) ? 2 : 1; /* closing quote, zero */
    if (tail == 2)
        out[used++] = '"';
    cut_at = used;
    while (next_piece(&in, &piece)) {
        if (used + piece.size + tail > size) {
            memcpy(out + cut_at, "...", 3);
            used = cut_at + 3;
            break;
        }
        memcpy(out + used, piece.text, piece.size);
        used += piece.size;
        if (used + 3 + tail <= size)
            cut_at = used;
    }
    if (tail == 2)
        out[used++] = '"';
    out[used] = '\0';
    return out;
}
