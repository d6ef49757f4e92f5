// The texts as they are in data/.
//
// Their digests are here so that a change of them is built; `make check` compares them, and prints those that it found.
// ar.toml: fda66bf938d34c3318f6c2996f1f85a9ddfdabe9b8f65ff4b07c719d484ca852
// de.toml: ccbaf7ad663d6b763d359c52baea41f294e7476f11a39ab1ef3b2f1c2514a899
// en.toml: 4b5ec8314ef024918ade2f05e71eeea9de60fd5a2f6a38577e6e2465c970f1c3
// es.toml: d1d5dda9857c13e72adf1afa39bf258d5217631103b430b969fe701ed0de4703
// fa.toml: 7576a8faad4bfa2bf6367e20804168bc061ed240b34abc20aa21558e07822265
// pt.toml: 90ccf020cec95e24d86511022c518b6733586126dca63ac5a2fc40ca06401f2e
// ru.toml: bd3febfe42ed021a617d7a1fb745e060f3090e9d94b2f8485ab06752a222654f

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
