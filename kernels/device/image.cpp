// SPDX-License-Identifier: BSD-3-Clause
// The build puts the fat binary where the assembler, which runs in its top folder, finds it.
#include "kernels/device/image.hpp"

asm(".section .rodata\n"
    ".balign 64\n"
    "mpix_layout_copy_fatbin:\n"
    ".incbin \"kernels/device/copy.fatbin\"\n"
    ".previous\n");
extern "C" __attribute__((visibility("hidden"))) const unsigned char mpix_layout_copy_fatbin[];

namespace mpix::kernels::device {

const void* kernel_image() noexcept {
  return mpix_layout_copy_fatbin;
}

}  // namespace mpix::kernels::device
