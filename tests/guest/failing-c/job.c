// Fails as the job's name says.

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"

static bool is(const job_string_t *text, const char *other) {
    return text->len == strlen(other) && memcmp(text->ptr, other, text->len) == 0;
}

// The bindings free what they were given.
static void give(job_string_t *to, const char *text) { *to = (job_string_t){(uint8_t *)strdup(text), strlen(text)}; }

__attribute__((noinline)) static bool fail(const job_string_t *mode, job_failure_t *failure) {
    assert(!is(mode, "exception"));
    if (is(mode, "exit")) exit(3);
    if (is(mode, "abort")) abort();
    if (is(mode, "trap")) __builtin_trap();
    failure->tag = is(mode, "final") ? SOLOIST_JOB_TYPES_FAILURE_FINAL : SOLOIST_JOB_TYPES_FAILURE_RETRY;
    give(&failure->val.retry, is(mode, "final") ? "never again" : "again, please");
    return is(mode, "final") || is(mode, "retry");
}

bool exports_job_run(job_context_t *context, job_string_t *summary, job_failure_t *failure) {
    if (fail(&context->job, failure)) return false;
    give(summary, "did not fail");
    return true;
}
