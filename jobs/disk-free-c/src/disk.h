// Which filesystems are low on room, and what of that is news. Knows no host, so that it is tested anywhere.

#ifndef DISK_H
#define DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A text that grows up to a bound, and is cut there.
typedef struct {
    char *data;
    size_t length, size;
} text;

void text_add(text *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The same, of what came from outside: Slack takes it for no markup (`<!channel>`).
void text_add_escaped(text *to, const char *from);

// What is wrong, by short names that fit into the job's state: eight digits each, the first four the machine's.
enum { MAX_TROUBLES = 40, TROUBLE_DIGITS = 8 };
typedef struct {
    uint32_t name[MAX_TROUBLES];
    size_t count;
} troubles;

// Reads what `troubles_write` wrote; whatever else it is, there is nothing.
troubles troubles_read(const char *from);
void troubles_write(const troubles *of, text *to);
bool troubles_have(const troubles *of, uint32_t name);
bool troubles_add(troubles *to, uint32_t name);

// The short name of a filesystem, or with no mount point of the machine itself, which does not answer.
uint32_t trouble_name(const char *machine, const char *mount);

// What is found on the way.
typedef struct {
    double warn;                // percent of a filesystem that must be free
    const troubles *before;     // what has been told
    troubles now;               // what is to be remembered
    text news;                  // what is to be told, a line each
    unsigned filesystems, low, silent, told;
} watch;

// A machine's answer: what `findmnt --df --real --bytes --json` prints. NULL, or what is wrong with it.
const char *watch_answer(watch *on, const char *machine, const char *body, size_t length);
// A machine that gave none, and why. What was known of its filesystems stays.
void watch_silent(watch *on, const char *machine, const char *why);

#endif
