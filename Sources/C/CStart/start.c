#define _GNU_SOURCE
#include "CStart.h"

#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static int release(struct dl_phdr_info *program, size_t size, void *unused) {
    (void)size;
    (void)unused;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < program->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &program->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W)) continue;
        uintptr_t start = (program->dlpi_addr + segment->p_vaddr) & ~(page - 1);
        uintptr_t end = program->dlpi_addr + segment->p_vaddr + segment->p_filesz;
        (void)madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void tgp_release_start_pages(void) { dl_iterate_phdr(release, NULL); }

void tgp_hide_process(void) { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

#ifndef TGP_COMMIT
#define TGP_COMMIT ""
#endif

const char *tgp_commit(void) { return TGP_COMMIT; }
