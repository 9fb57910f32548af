#!/usr/bin/env python3
"""voc_to_coco.py VOC COCO: a copy of a folder like PASCAL VOC's, annotated like COCO.

Nothing but Python's standard library. VOC holds Annotations, JPEGImages and ImageSets/Main; COCO
must not exist yet and gets images/ and instances_SPLIT.json for each list without "_" in its name.

Objects keep their order, categories are sorted by name as boxgrad sorts VOC's, and a box
[xmin, xmax] of pixels counted from 1, both ends included, becomes x = xmin - 1 and
width = xmax - xmin + 1. Left out, with a line each: objects whose corners coincide or are
exchanged, which boxgrad leaves out of VOC's files, too, and whose width here would be 1 or less.
COCO has no "difficult": such objects become crowds, which are not asked for either.
"""
import json
import pathlib
import shutil
import sys
import xml.etree.ElementTree


def number(text):
    value = float(text)
    return int(value) if value == int(value) else value


def read_annotation(path):
    """-> (width, height, [(name, xmin, ymin, xmax, ymax, difficult)])"""
    root = xml.etree.ElementTree.parse(path).getroot()
    objects = []
    for node in root.findall("object"):
        box = node.find("bndbox")
        corners = [number(box.findtext(key)) for key in ("xmin", "ymin", "xmax", "ymax")]
        name = node.findtext("name").strip()
        if corners[2] <= corners[0] or corners[3] <= corners[1]:
            print(f"{path.name}: {name} {tuple(corners)} has no area, left out")
            continue
        objects.append((name, *corners, node.findtext("difficult", "0").strip() == "1"))
    size = root.find("size")
    return int(size.findtext("width")), int(size.findtext("height")), objects


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    voc, coco = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    lists = [p for p in sorted((voc / "ImageSets" / "Main").glob("*.txt")) if "_" not in p.stem]
    if not lists:
        sys.exit(f"error: {voc} has no lists in ImageSets/Main")
    photos = {p.stem: p for p in (voc / "JPEGImages").iterdir()}
    annotations = {p.stem: read_annotation(p) for p in sorted((voc / "Annotations").glob("*.xml"))}
    names = sorted({o[0] for _, _, objects in annotations.values() for o in objects})
    category = {name: 1 + k for k, name in enumerate(names)}
    stems = sorted(annotations)
    (coco / "images").mkdir(parents=True)
    for split in lists:
        images, boxes = [], []
        for line in split.read_text().split("\n"):
            if not line.split():
                continue
            stem = line.split()[0]
            width, height, objects = annotations[stem]
            shutil.copyfile(photos[stem], coco / "images" / photos[stem].name)
            image_id = 1 + stems.index(stem)
            images.append({"id": image_id, "file_name": photos[stem].name,
                           "width": width, "height": height})
            for name, xmin, ymin, xmax, ymax, difficult in objects:
                w, h = xmax - xmin + 1, ymax - ymin + 1
                boxes.append({"id": 1 + len(boxes), "image_id": image_id,
                              "category_id": category[name], "bbox": [xmin - 1, ymin - 1, w, h],
                              "area": w * h, "iscrowd": int(difficult)})
        out = coco / f"instances_{split.stem}.json"
        out.write_text(json.dumps({
            "images": images, "annotations": boxes,
            "categories": [{"id": k, "name": name} for name, k in category.items()]}))
        print(f"{out}: {len(images)} images, {len(boxes)} boxes")


if __name__ == "__main__":
    main()
