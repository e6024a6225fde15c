#include "disk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

void text_add(text *to, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int wanted = vsnprintf(to->data + to->length, to->size - to->length, format, arguments);
    va_end(arguments);
    if (wanted < 0) return;
    size_t room = to->size - to->length - 1;
    to->length += (size_t)wanted < room ? (size_t)wanted : room;
}

void text_add_escaped(text *to, const char *from) {
    for (; *from != '\0'; from++) {
        switch (*from) {
        case '&': text_add(to, "&amp;"); break;
        case '<': text_add(to, "&lt;"); break;
        case '>': text_add(to, "&gt;"); break;
        default: text_add(to, "%c", *from);
        }
    }
}

troubles troubles_read(const char *from) {
    troubles all = {.count = 0};
    while (all.count < MAX_TROUBLES && strspn(from, "0123456789abcdef") == TROUBLE_DIGITS) {
        all.name[all.count++] = (uint32_t)strtoul(from, NULL, 16);
        from += TROUBLE_DIGITS;
        if (*from == ' ') from++;
    }
    return *from == '\0' ? all : (troubles){.count = 0};
}

void troubles_write(const troubles *of, text *to) {
    for (size_t i = 0; i < of->count; i++) text_add(to, "%s%08x", i == 0 ? "" : " ", of->name[i]);
}

bool troubles_have(const troubles *of, uint32_t name) {
    for (size_t i = 0; i < of->count; i++) {
        if (of->name[i] == name) return true;
    }
    return false;
}

bool troubles_add(troubles *to, uint32_t name) {
    if (troubles_have(to, name)) return true;
    if (to->count == MAX_TROUBLES) return false;
    to->name[to->count++] = name;
    return true;
}

// FNV-1a, folded to 16 bits. Two filesystems of one name cost a message, and nobody gains by that.
static uint32_t hash16(const char *of) {
    uint32_t hash = 2166136261u;
    for (; *of != '\0'; of++) hash = (hash ^ (unsigned char)*of) * 16777619u;
    return (hash >> 16) ^ (hash & 0xffff);
}

uint32_t trouble_name(const char *machine, const char *mount) {
    return hash16(machine) << 16 | (mount == NULL ? 0 : hash16(mount));
}

// Begins a line of news.
static void told(watch *on, const char *sign, const char *machine) {
    on->told++;
    text_add(&on->news, "%s%s *", on->news.length == 0 ? "" : "\n", sign);
    text_add_escaped(&on->news, machine);
    text_add(&on->news, "*");
}

static const char *amount(double bytes, char out[16]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t unit = 0;
    for (; bytes >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++) bytes /= 1024;
    snprintf(out, 16, bytes < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
    return out;
}

static void filesystem(watch *on, const char *machine, const char *mount, double size, double available) {
    on->filesystems++;
    const uint32_t name = trouble_name(machine, mount);
    const bool was_low = troubles_have(on->before, name);
    const bool is_low = available * 100 < size * on->warn;
    bool remembered = true;
    if (is_low) {
        on->low++;
        remembered = troubles_add(&on->now, name);
    }
    // More troubles than can be remembered are not told: they would be told again by each run.
    if (is_low == was_low || !remembered) return;
    char free[16], whole[16];
    told(on, is_low ? ":warning:" : ":white_check_mark:", machine);
    text_add(&on->news, " ");
    text_add_escaped(&on->news, mount);
    text_add(&on->news, is_low ? ": %s of %s free, %.1f %%" : " has room again: %s of %s free, %.1f %%",
             amount(available, free), amount(size, whole), available * 100 / size);
}

const char *watch_answer(watch *on, const char *machine, const char *body, size_t length) {
    json document, list;
    if (!json_parse(body, length, &document)) return "the answer is no JSON";
    if (!json_member(document, "filesystems", &list) || !json_is(list, '[')) return "the answer has no list `filesystems`";
    for (json key, entry = {NULL, NULL}; json_next(list, &key, &entry);) {
        json target, size, available;
        char mount[256];
        double whole, free;
        if (!json_member(entry, "target", &target) || !json_text(target, mount, sizeof mount)) {
            return "a filesystem has no `target`";
        }
        if (!json_member(entry, "size", &size) || !json_member(entry, "avail", &available)) {
            return "a filesystem has no `size` or no `avail`: findmnt needs --df and --bytes";
        }
        // What has no size, or is not told it (null), is not on a disk.
        if (!json_number(size, &whole) || !json_number(available, &free) || whole <= 0) continue;
        filesystem(on, machine, mount, whole, free);
    }
    if (troubles_have(on->before, trouble_name(machine, NULL))) {
        told(on, ":white_check_mark:", machine);
        text_add(&on->news, " answers again");
    }
    return NULL;
}

void watch_silent(watch *on, const char *machine, const char *why) {
    on->silent++;
    const uint32_t name = trouble_name(machine, NULL);
    for (size_t i = 0; i < on->before->count; i++) {
        if (on->before->name[i] >> 16 == name >> 16) troubles_add(&on->now, on->before->name[i]);
    }
    if (troubles_have(on->before, name) || !troubles_add(&on->now, name)) return;
    told(on, ":question:", machine);
    text_add(&on->news, " does not say how much room it has: ");
    text_add_escaped(&on->news, why);
}
