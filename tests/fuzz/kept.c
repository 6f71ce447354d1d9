/* A small libFuzzer, for a compiler that has none: `kept CORPUS SECONDS SEED [FOUND_DIRECTORY]`.

   First it runs every input of the directory CORPUS. Then, for so many seconds of processor time, it runs inputs that
   it makes of these: by change, by insertion, by removal and by joining two. An input that reaches code by a new way is
   kept for the next changes, and written to FOUND_DIRECTORY if that is given. With 0 seconds, it writes the inputs of
   the corpus that go a new way. Names begin with sizes, so these are the small ones.
   The target is compiled with -fsanitize-coverage=trace-pc, which GCC and clang know; this file is not.

   If the variable `FAILED` names a file, each input is written to this file before it runs. At the end the file has
   the input that ended the program. */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MOST_INPUTS = 1 << 14, INPUT_LIMIT = 1024, EDGES = 1 << 16, MOST_CHANGES = 6 };

struct input {
    size_t size;
    uint8_t *data;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __sanitizer_cov_trace_pc(void);

static struct input inputs[MOST_INPUTS];
static size_t input_count;
static uint8_t edges[EDGES], seen[EDGES]; /* how often this run took a way; the classes of these counts so far */
static uintptr_t before;
static uint64_t state;
static bool counts_matter;

/* Called at each branch of the target. */
void __sanitizer_cov_trace_pc(void) {
    uintptr_t here = (uintptr_t)__builtin_return_address(0);
    here = here * UINT64_C(0x9e3779b97f4a7c15) >> 48;
    uint8_t *edge = &edges[(here ^ before) % EDGES];
    *edge += *edge < 255;
    before = here >> 1;
}

/* Steele, Lea and Flood 2014, SplitMix64. */
static uint64_t random64(void) {
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t below(size_t limit) {
    return limit ? random64() % limit : 0;
}

/* One bit for each order of magnitude: 1, 2, 3, 4 to 7, 8 to 15, … */
static uint8_t class_of(uint8_t count) {
    if (count < 4)
        return (uint8_t)(1 << count >> 1);
    int bit = 3;
    while (count >>= 1, count >= 4 && bit < 7)
        bit++;
    return (uint8_t)(1 << bit);
}

/* Whether the run took this way for the first time, or, where counts matter, more often than before. */
static bool is_new_way(size_t at) {
    uint8_t class = counts_matter ? class_of(edges[at]) : 1;
    bool news = (seen[at] & class) == 0;
    seen[at] |= class;
    return news;
}

/* Whether the run went a new way. Nearly all ways are taken by no run, so eight are looked at together. */
static bool is_news(void) {
    bool news = false;
    for (size_t eight = 0; eight < EDGES; eight += 8) {
        uint64_t counts;
        memcpy(&counts, &edges[eight], sizeof counts);
        for (size_t at = eight; counts && at < eight + 8; at++)
            news |= edges[at] && is_new_way(at);
    }
    return news;
}

static struct input *keep(const uint8_t *data, size_t size) {
    if (input_count == MOST_INPUTS)
        return NULL;
    struct input *input = &inputs[input_count];
    input->data = malloc(size ? size : 1);
    if (!input->data)
        exit(2);
    memcpy(input->data, data, size);
    input->size = size;
    input_count++;
    return input;
}

static uint8_t *note; /* the file with the input that ended the program, if one is wanted: a size and the bytes */

static void open_note(void) {
    const char *path = getenv("FAILED");
    if (!path)
        return;
    int descriptor = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (descriptor < 0 || ftruncate(descriptor, INPUT_LIMIT + 2) < 0)
        exit(2);
    note = mmap(NULL, INPUT_LIMIT + 2, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (note == MAP_FAILED)
        exit(2);
}

/* Runs one input; whether it went a new way. */
static bool run(const uint8_t *data, size_t size) {
    if (note) {
        note[0] = (uint8_t)(size >> 8);
        note[1] = (uint8_t)size;
        memcpy(note + 2, data, size);
    }
    uint8_t *own = malloc(size ? size : 1); /* of exactly its size, so that a read beyond the end is seen */
    if (!own)
        exit(2);
    memcpy(own, data, size);
    memset(edges, 0, sizeof edges);
    before = 0;
    LLVMFuzzerTestOneInput(own, size);
    free(own);
    return is_news();
}

static size_t read_file(const char *directory, const char *name, uint8_t *data) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(2);
    size_t size = fread(data, 1, INPUT_LIMIT, file);
    fclose(file);
    return size;
}

static void write_found(const char *directory, const struct input *input) {
    uint64_t name = UINT64_C(0xcbf29ce484222325); /* FNV-1a of the bytes */
    for (size_t at = 0; at < input->size; at++)
        name = (name ^ input->data[at]) * UINT64_C(0x100000001b3);
    char path[4096];
    snprintf(path, sizeof path, "%s/%04zx-%016llx", directory, input->size, (unsigned long long)name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(input->data, 1, input->size, file) != input->size || fclose(file))
        exit(2);
}

static void run_corpus(const char *directory, const char *found_directory) {
    uint8_t data[INPUT_LIMIT];
    struct dirent **names;
    int count = scandir(directory, &names, NULL, alphasort); /* in the same order everywhere */
    if (count < 0)
        exit(2);
    for (int at = 0; at < count; at++) {
        if (names[at]->d_name[0] != '.') {
            size_t size = read_file(directory, names[at]->d_name, data);
            bool news = run(data, size);
            const struct input *input = keep(data, size);
            if (news && input && found_directory)
                write_found(found_directory, input);
        }
        free(names[at]);
    }
    free(names);
}

static size_t change(uint8_t *data, size_t size) {
    static const uint8_t ODD[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};
    size_t at = below(size + 1), length = 1 + below(below(16) ? 8 : 128);
    switch (below(6)) {
    case 0: /* a bit */
        if (size)
            data[at % size] ^= (uint8_t)(1 << below(8));
        return size;
    case 1: /* a byte */
        if (size)
            data[at % size] = below(2) ? (uint8_t)random64() : ODD[below(sizeof ODD)];
        return size;
    case 2: /* bytes more */
        if (length > INPUT_LIMIT - size)
            return size;
        memmove(data + at + length, data + at, size - at);
        for (size_t offset = 0; offset < length; offset++)
            data[at + offset] = (uint8_t)random64();
        return size + length;
    case 3: /* bytes less */
        if (length > size - at)
            length = size - at;
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    case 4: /* a piece of it again */
        if (length > INPUT_LIMIT - size || length > size)
            return size;
        memmove(data + at + length, data + at, size - at);
        memmove(data + at, data + below(size - length + 1), length);
        return size + length;
    default: { /* the end of another */
        const struct input *other = &inputs[below(input_count)];
        size_t from = below(other->size + 1), more = other->size - from;
        if (more > INPUT_LIMIT - at)
            more = INPUT_LIMIT - at;
        memcpy(data + at, other->data + from, more);
        return at + more;
    }
    }
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "kept CORPUS SECONDS SEED [FOUND_DIRECTORY]\n");
        return 2;
    }
    uint8_t data[INPUT_LIMIT];
    double seconds = strtod(argv[2], NULL);
    uint64_t runs = 0;
    state = strtoull(argv[3], NULL, 10);
    counts_matter = seconds > 0;
    open_note();
    run_corpus(argv[1], argc > 4 && seconds <= 0 ? argv[4] : NULL);
    size_t kept = input_count;
    if (!kept) {
        fprintf(stderr, "%s holds no input\n", argv[1]);
        return 2;
    }
    for (; (double)clock() / CLOCKS_PER_SEC < seconds; runs++) {
        const struct input *input = &inputs[below(2) ? input_count - 1 - below(input_count < 64 ? input_count : 64)
                                                     : below(input_count)];
        size_t size = input->size;
        memcpy(data, input->data, size);
        for (size_t changes = 1 + below(MOST_CHANGES); changes; changes--)
            size = change(data, size);
        if (run(data, size)) {
            const struct input *found = keep(data, size);
            if (found && argc > 4)
                write_found(argv[4], found);
        }
    }
    size_t reached = 0;
    for (size_t at = 0; at < EDGES; at++)
        reached += seen[at] != 0;
    printf("%zu kept inputs, %llu runs, %zu new inputs, %zu ways\n", kept, (unsigned long long)runs,
           input_count - kept, reached);
    return 0;
}
