#!/usr/bin/env python3
"""Writes tests/golden/images.h: small picture files as bytes, and what they must decode to.

Run by hand from the repository root: /usr/bin/python3 tests/golden/images.py
Needs Pillow (an independent decoder: libjpeg, libpng) and ImageMagick's convert (interlaced PNG).
"""
import io
import struct
import subprocess
import zlib

from PIL import Image, ImageOps

out = ["#pragma once", "", "// Written by tests/golden/images.py; do not edit.", "",
       "#include <cstdint>", "", "namespace golden {", ""]


def emit(name, data, comment=""):
    if comment:
        out.append(f"// {comment}")
    out.append(f"constexpr std::uint8_t {name}[] = {{")
    line = "   "
    for value in data:
        text = f" {value},"
        if len(line) + len(text) > 100:
            out.append(line)
            line = "   "
        line += text
    out.append(line.rstrip(",") + "};")
    out.append("")


def saved(image, format, **options):
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def png(width, height, depth, color, rows, chunks=(), interlace=0):
    """A PNG from packed rows; no filter."""
    def chunk(kind, content):
        return (struct.pack(">I", len(content)) + kind + content +
                struct.pack(">I", zlib.crc32(kind + content)))
    raw = b"".join(b"\0" + row for row in rows)
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)) +
            b"".join(chunk(*c) for c in chunks) + chunk(b"IDAT", zlib.compress(raw, 9)) +
            chunk(b"IEND", b""))


def on_white(value, alpha, top):
    return ((value * alpha + top * (top - alpha)) * 255 + top * top // 2) // (top * top)


# --- a picture that is neither symmetric nor flat, with detail enough for about 2 KB -------------
W, H = 48, 32
scene = Image.new("RGB", (W, H))
for y in range(H):
    for x in range(W):
        r, g, b = 5 * x, 7 * y, 255 - 2 * x - 3 * y
        if (x - 14) ** 2 + (y - 12) ** 2 < 64:
            r, g, b = 230, 40 + 3 * x, 30
        if (x // 3 + y // 2) % 5 == 0:
            r, g, b = r // 2, g // 2 + 60, b // 2
        scene.putpixel((x, y), (r, g, max(b, 0)))


def points(data):
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return [v for p in [(3, 2), (14, 12), (40, 5), (25, 20), (10, 29), (46, 30)]
            for v in image.getpixel(p)]


jpeg = saved(scene, "JPEG", quality=90, subsampling=2)
emit("kJpeg", jpeg, f"{W} x {H}, baseline, 4:2:0")
emit("kJpegPoints", points(jpeg),
     "Pillow's colours at (3, 2) (14, 12) (40, 5) (25, 20) (10, 29) (46, 30)")
progressive = saved(scene, "JPEG", quality=50, subsampling=0, progressive=True)
emit("kProgressive", progressive, "the same scene, progressive, 4:4:4")
emit("kProgressivePoints", points(progressive))
cmyk = saved(scene.resize((16, 16)).convert("CMYK"), "JPEG", quality=75)
emit("kCmyk", cmyk, "16 x 16, Adobe CMYK")
emit("kCmykMiddle", Image.open(io.BytesIO(cmyk)).convert("RGB").getpixel((8, 8)))
grey = saved(Image.new("L", (9, 7), 77), "JPEG")
emit("kGreyJpeg", grey, "9 x 7, one grey 77")
emit("kTinyJpeg", saved(Image.new("RGB", (1, 1), (200, 100, 50)), "JPEG", quality=95), "1 x 1")

# --- six blocks of 8 x 8, and where each EXIF orientation puts them -------------------------------
colors = [(220, 30, 30), (30, 200, 30), (30, 30, 220), (230, 220, 30), (30, 210, 220), (240, 240, 240)]
blocks = Image.new("RGB", (16, 24))
for i, color in enumerate(colors):
    blocks.paste(color, (8 * (i % 2), 8 * (i // 2), 8 * (i % 2) + 8, 8 * (i // 2) + 8))
emit("kBlocks", saved(blocks, "JPEG", quality=95, subsampling=0), "16 x 24, six blocks, no EXIF")
emit("kBlockColors", [v for c in colors for v in c])
order = []
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Opened again, as Pillow reads orientation only from a file.
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(saved(blocks, "PNG", exif=exif))))
    order += [image.width // 8]
    for y in range(image.height // 8):
        for x in range(image.width // 8):
            order.append(colors.index(image.convert("RGB").getpixel((8 * x + 4, 8 * y + 4))))
emit("kUprightBlocks", order, "a row per orientation: blocks across, then the six blocks' numbers")
exif = Image.Exif()
exif[0x0112] = 6
emit("kPngExif", saved(Image.frombytes("RGB", (2, 1), bytes([255, 0, 0, 0, 0, 255])), "PNG",
                       exif=exif), "2 x 1, red and blue, eXIf orientation 6")

# --- every kind of PNG, 3 x 2 ----------------------------------------------------------------------
W, H = 3, 2
N = W * H
grey8 = [0, 50, 100, 150, 200, 255]
alpha8 = [255, 0, 128, 1, 254, 77]
rgb8 = [(17 * i + 3, 250 - 40 * i, 40 * i) for i in range(N)]


def rows(samples, code):
    step = len(samples) // H
    return [struct.pack(f">{step}{code}", *samples[y * step:(y + 1) * step]) for y in range(H)]


emit("kPngGrey", png(W, H, 8, 0, rows(grey8, "B")), "8-bit grey, 3 x 2")
emit("kPngGreyRgb", [g for g in grey8 for _ in range(3)])
emit("kPngRgb", png(W, H, 8, 2, rows([v for p in rgb8 for v in p], "B")), "8-bit RGB")
emit("kPngRgbRgb", [v for p in rgb8 for v in p])
emit("kPngRgba", png(W, H, 8, 6, rows([v for p, a in zip(rgb8, alpha8) for v in (*p, a)], "B")))
emit("kPngRgbaRgb", [on_white(v, a, 255) for p, a in zip(rgb8, alpha8) for v in p])
emit("kPngGreyAlpha", png(W, H, 8, 4, rows([v for ga in zip(grey8, alpha8) for v in ga], "B")))
emit("kPngGreyAlphaRgb", [on_white(g, a, 255) for g, a in zip(grey8, alpha8) for _ in range(3)])
rgb16 = [(257 * r + 100, 257 * g - 130 if g else 0, (b * 257 + 60) % 65536) for r, g, b in rgb8]
emit("kPng16", png(W, H, 16, 2, rows([v for p in rgb16 for v in p], "H")), "16-bit RGB")
emit("kPng16Rgb", [on_white(v, 65535, 65535) for p in rgb16 for v in p])
emit("kPng16Alpha", png(W, H, 16, 6, rows([v for p, a in zip(rgb16, alpha8)
                                           for v in (*p, a * 257)], "H")), "16-bit RGBA")
emit("kPng16AlphaRgb", [on_white(v, a * 257, 65535) for p, a in zip(rgb16, alpha8) for v in p])
palette = bytes(v for p in rgb8 for v in p)
index4 = [b"\x01\x20", b"\x34\x50"]  # 0 1 2 / 3 4 5
emit("kPngPalette", png(W, H, 4, 3, index4, [(b"PLTE", palette)]), "4-bit palette, 0 1 2 / 3 4 5")
emit("kPngPaletteAlpha", png(W, H, 4, 3, index4, [(b"PLTE", palette), (b"tRNS", bytes(alpha8))]))
emit("kPngPaletteRgb", [v for p in rgb8 for v in p])
emit("kPngOneBit", png(W, H, 1, 0, [b"\xa0", b"\x40"]), "1-bit grey: 101 / 010")
emit("kPngTransparent", png(W, H, 8, 0, rows(grey8, "B"), [(b"tRNS", struct.pack(">H", 100))]),
     "8-bit grey where 100 is transparent")
interlaced = subprocess.run(["convert", "-", "-interlace", "PNG", "png:-"], check=True,
                            input=saved(blocks, "PNG"), stdout=subprocess.PIPE).stdout
emit("kPngInterlaced", interlaced, "the six blocks, Adam7")
emit("kPngHuge", png(1 << 15, 1 << 15, 8, 2, [b"\0" * 64]),
     "a few bytes that say 32768 x 32768")
noisy = Image.new("RGB", (22, 22))
state = 1
for y in range(22):
    for x in range(22):
        state = (1103515245 * state + 12345) % 2**31
        noisy.putpixel((x, y), (state >> 16 & 255, state >> 8 & 255, state >> 20 & 255))
emit("kPngNoise", saved(noisy, "PNG"), "noise, 1.5 KB")

# --- BMP ------------------------------------------------------------------------------------------
emit("kBmp24", saved(Image.frombytes("RGB", (W, H), palette), "BMP"), "24-bit BMP, 3 x 2")
emit("kBmp32", saved(Image.frombytes("RGB", (W, H), palette).convert("RGBA"), "BMP"))
grey_bmp = saved(Image.frombytes("L", (W, H), bytes(grey8)), "BMP")
emit("kBmpGreyPixels", grey_bmp[-8:], "the pixels of an 8-bit BMP; the test writes its header")

out += ["}  // namespace golden", ""]
with open("tests/golden/images.h", "w") as file:
    file.write("\n".join(out))
