// The texts as they are in data/.
//
// Their digests are here so that a change of them is built; `make check` compares them, and prints those that it found.
// ar.toml: 3ad72acf9da6a31f94144ebd2e187f36e803874e3d54df9969575c2081aa5ac1
// de.toml: b243f24b20b7c2d7e447376700688ab57c4e98608eb593526978d7fbc5e6d319
// en.toml: fd561c866653dc36f9f90cd40792ad9f8f12ea4d083f8c7235210214b5db60a4
// es.toml: 071ffbbe743af4c3dd01e057875a90a8cbec6b26e6e6748025011adceaee8c1e
// fa.toml: 09c76ff33ebd20e0c290c1401c959353a2fec4c626e10ea6a5c0e768aacc8bcc
// pt.toml: 66a8fe167215d16935dac41f255683100aec2d803858c3053be38399b6df0da5
// ru.toml: 441589d0112933d7c571351b582fd34bf59bceb2a60de71165a3addbe210263c

#include "TextFiles.h"

#include <string.h>

#define TEXTS(NAME)                                                                                                     \
    extern const char tgp_texts_##NAME[], tgp_texts_##NAME##_end[];                                                     \
    __asm__(".pushsection .rodata\n.global tgp_texts_" #NAME "\ntgp_texts_" #NAME ":\n.incbin \"" #NAME ".toml\"\n"       \
            ".global tgp_texts_" #NAME "_end\ntgp_texts_" #NAME "_end:\n.byte 0\n.popsection\n")

TEXTS(en);
TEXTS(de);
TEXTS(ru);
TEXTS(es);
TEXTS(pt);
TEXTS(fa);
TEXTS(ar);

#define IS(NAME)                                                                                                        \
    if (strcmp(language, #NAME) == 0)                                                                                   \
    return (tgp_text_file){tgp_texts_##NAME, (size_t)(tgp_texts_##NAME##_end - tgp_texts_##NAME)}

tgp_text_file tgp_text_file_of(const char *language) {
    IS(en);
    IS(de);
    IS(ru);
    IS(es);
    IS(pt);
    IS(fa);
    IS(ar);
    return (tgp_text_file){NULL, 0};
}
