/* Runs a fuzz target over its committed corpus as an ordinary test: every file of each folder or
 * file named on the command line, plus the empty input. An empty or missing corpus is an error,
 * since such a test could not fail. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned n_replayed;

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    uint8_t *data;
    size_t got;

    if (!f || fstat(fileno(f), &st) < 0) {
        perror(path);
        exit(1);
    }
    data = malloc(st.st_size > 0 ? (size_t)st.st_size : 1);
    got = data ? fread(data, 1, (size_t)st.st_size, f) : 0;
    fclose(f);
    LLVMFuzzerTestOneInput(data, got);
    free(data);
    n_replayed++;
}

static void replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    char path[4096];

    if (!dir) {
        replay_file(folder);
        return;
    }
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        replay_file(path);
    }
    closedir(dir);
}

int main(int argc, char **argv)
{
    static const uint8_t k_nothing[1];

    LLVMFuzzerTestOneInput(k_nothing, 0);
    for (int i = 1; i < argc; i++)
        replay_folder(argv[i]);
    printf("%u inputs replayed\n", n_replayed);
    return n_replayed ? 0 : 1;
}
