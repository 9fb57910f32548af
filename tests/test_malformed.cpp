// Files of annotations as strangers write them, one wrong thing each, and what becomes of it: an
// error that says where, or a line of the report with the value, and what is left of the boxes.
// The tables of files of numbers and of pictures are in test_malformed_files.cpp.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/image.h"
#include "detection/data/coco.h"
#include "detection/data/voc.h"
#include "tests/catch.h"
#include "tests/memory_folder.h"

using namespace boxgrad;
using namespace boxgrad::detection;
namespace fs = std::filesystem;

namespace {

/// What is written in place of a sound part, what has to be said, and how many boxes are left.
struct Case {
  const char* name;
  std::string text;
  std::string said;  ///< part of the error or of the report; "" where nothing is wrong
  int boxes = 1;     ///< -1: the whole folder is refused
};

class Folder {
 public:
  Folder() : root(memory_folder("malformed")) {
    fs::remove_all(root);
    for (const char* name : {"images/a.png", "images/b.png", "outside.png"}) picture(name);
  }
  ~Folder() { fs::remove_all(root); }
  void text(const std::string& name, const std::string& content) const {
    fs::create_directories((root / name).parent_path());
    write_file_atomically(root / name, content);
  }
  void picture(const std::string& name) const {
    fs::create_directories((root / name).parent_path());
    write_file_atomically(root / name, Image(20, 10).encode_png());
  }
  const fs::path root;
};

/// Everything a reader has to say of a folder, and the boxes it found.
struct Outcome {
  std::string said;
  int boxes = -1;
};

Outcome outcome_of(const std::function<std::unique_ptr<PhotoDataset>()>& read) {
  try {
    const auto data = read();
    Outcome outcome{"", 0};
    for (const std::string& line : data->summary()) outcome.said += line + "\n";
    for (std::int64_t i = 0; i < data->size(); ++i)
      outcome.boxes += static_cast<int>(data->get(i).target.boxes.size(0));
    return outcome;
  } catch (const std::invalid_argument& error) {
    return {error.what()};
  } catch (const std::runtime_error& error) {
    return {error.what()};
  }
}

void check_case(const Case& c, const Outcome& outcome) {
  INFO(c.name << "\n" << outcome.said);
  CHECK(outcome.boxes == c.boxes);
  CHECK_THAT(outcome.said, Catch::Contains(c.said));
  if (c.said.empty()) CHECK(std::ranges::count(outcome.said, '\n') == 1);  // no complaint
}

// --- PASCAL VOC -----------------------------------------------------------------------------

std::string box(const std::string& x1, const std::string& y1, const std::string& x2,
                const std::string& y2) {
  return "<bndbox><xmin>" + x1 + "</xmin><ymin>" + y1 + "</ymin><xmax>" + x2 + "</xmax><ymax>" +
         y2 + "</ymax></bndbox>";
}
std::string dog(const std::string& bndbox) {
  return "<object>\n<name>dog</name>" + bndbox + "</object>\n";
}
const std::string kBox = box("3", "2", "8", "9"), kDog = dog(kBox);
std::string annotation(const std::string& inside) {
  return "<annotation>\n<size><width>20</width><height>10</height></size>\n" + inside +
         "</annotation>\n";
}
std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; ++i) result += text;
  return result;
}
std::string utf16(const std::string& text, bool big_endian) {
  std::string wide = big_endian ? "\xFE\xFF" : "\xFF\xFE";
  for (const char c : text) wide += big_endian ? std::string{'\0', c} : std::string{c, '\0'};
  return wide;
}

/// Objects beside a sound one.
std::vector<Case> voc_objects() {
  const auto bad = [](const char* xmin) { return dog(box(xmin, "2", "8", "9")); };
  const std::string no = "a.xml:3: dog has no number in <xmin>, got ";
  return {
      {"sound", kDog, "", 2},
      {"not a number", bad("nan"), no + "\"nan\""},
      {"infinite", bad("inf"), no + "\"inf\""},
      {"minus infinite", bad("-inf"), no + "\"-inf\""},
      {"beyond a double", bad("1e999"), no + "\"1e999\""},
      {"as large as a double", bad("1e308"),
       "corners are exchanged, skipped: a.xml:3: dog (1e+308"},
      {"as small", bad("-1e308"), "partly outside, clipped: a.xml:3: dog (-1e+308", 2},
      {"a word", bad("three"), no + "\"three\""},
      {"hexadecimal", bad("0x3"), no + "\"0x3\""},
      {"a comma for a point", bad("3,5"), no + "\"3,5\""},
      {"two numbers", bad("3 4"), no + "\"3 4\""},
      {"a plus", bad("+3"), no + "\"+3\""},
      {"empty", bad(""), no + "\"\""},
      {"a unit", bad("3px"), no + "\"3px\""},
      {"an element inside", bad("<b>3</b>"), no + "\"\""},
      {"blanks around", bad(" \t3\n"), "", 2},
      {"a fraction", bad("3.75"), "", 2},
      {"with an exponent", bad("3e0"), "", 2},
      {"zero wide", dog(box("5", "2", "5", "9")),
       "without area, skipped: a.xml:3: dog (5, 2, 5, 9)"},
      {"zero high", dog(box("3", "2", "8", "2")), "without area, skipped: a.xml:3"},
      {"reversed across", dog(box("8", "2", "3", "9")),
       "corners are exchanged, skipped: a.xml:3: dog (8, 2"},
      {"reversed down", dog(box("3", "9", "8", "2")), "corners are exchanged, skipped: a.xml:3"},
      {"all zeros", dog(box("0", "0", "0", "0")), "without area, skipped"},
      {"negative", dog(box("-9", "-9", "-1", "-1")), "wholly outside, skipped: a.xml:3: dog (-9"},
      {"counted from 0", dog(box("0", "0", "8", "9")), "up to one pixel outside, clipped", 2},
      {"half outside", dog(box("15", "2", "40", "9")), "partly outside, clipped: a.xml:3", 2},
      {"far outside", dog(box("500", "2", "600", "9")), "wholly outside, skipped: a.xml:3"},
      {"no <bndbox>", dog(""), "a.xml:3: dog has no <bndbox>"},
      {"an empty <bndbox>", dog("<bndbox/>"), no},
      {"no <ymax>", dog("<bndbox><xmin>3</xmin><ymin>2</ymin><xmax>8</xmax></bndbox>"),
       "no number in <ymax>, got \"\""},
      {"capitals", dog("<BndBox><XMin>3</XMin></BndBox>"), "dog has no <bndbox>"},
      {"a box given twice", dog(kBox + kBox), "", 2},
      {"the same object twice", kDog + kDog, "", 3},
      {"no <name>", "<object>" + kBox + "</object>", "a.xml:3: <object> has no <name>"},
      {"an empty <name>", "<object><name> </name>" + kBox + "</object>", "has no <name>"},
      {"a name of 300 bytes",
       "<object><name>" + repeated("x", 300) + "</name>" + kBox + "</object>",
       "<name> has 300 bytes, at most 200 are accepted"},
      {"a name with control characters",
       "<object><name>d&#27;[2Jog</name>" + box("3", "2", "3", "9") + "</object>",
       "a.xml:3: d?[2Jog (3"},
      {"a name that differs in case", "<object><name>Dog</name>" + kBox + "</object>",
       "class name(s) that differ in case only, kept apart: Dog: dog", 2},
      {"an object in an object", "<object><name>dog</name>" + kBox + kDog + "</object>", "", 2},
      {"an empty object", "<object/>", "<object> has no <name>"},
      {"flags that are words", dog(kBox + "<difficult>maybe</difficult><truncated/>"), "", 2},
      {"10,000 objects", repeated("<object><name>dog</name>" + kBox + "</object>", 10'000), "",
       10'001},
  };
}

/// Whole files. A second annotation, b.xml, is sound.
std::vector<Case> voc_files() {
  const std::string sound = annotation(kDog);
  std::string crlf, many_classes;
  for (int i = 0; i < 10'001; ++i)
    many_classes += concat("<object><name>", i, "</name>", kBox, "</object>");
  for (const char c : sound) crlf += c == '\n' ? "\r\n" : std::string(1, c);
  return {
      {"sound", sound, "", 2},
      {"empty", "", "a.xml:1: not XML"},
      {"one blank", " ", "a.xml:1: not XML"},
      {"a line end less", sound.substr(0, sound.size() - 1), "", 2},
      {"cut", sound.substr(0, 60), "a.xml:2: not XML"},
      {"another document", "<html><body/></html>", "must be an <annotation>"},
      {"JSON", "{\"images\": []}", "not XML"},
      {"zeros", std::string(200, '\0'), "not XML"},
      {"a picture", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not XML"},
      {"tags that cross", "<annotation><object></annotation></object>", "a.xml:1: not XML"},
      {"a tag that stays open", annotation("<object>"), "not XML"},
      {"two documents", sound + sound, "", 2},
      {"a byte order mark", "\xEF\xBB\xBF" + sound, "", 2},
      {"CRLF", crlf, "", 2},
      {"UTF-16, little-endian", utf16(sound, false), "", 2},
      {"UTF-16, big-endian", utf16(sound, true), "", 2},
      {"half of UTF-16", utf16(sound, false).substr(0, 61), "not XML"},
      {"says UTF-16 and is not", "<?xml version=\"1.0\" encoding=\"UTF-16\"?>" + sound, "", 2},
      {"an unknown encoding", "<?xml version=\"1.0\" encoding=\"EBCDIC\"?>" + sound, "", 2},
      {"Latin-1 without saying so", annotation("<object><name>k\xE4se</name>" + kBox + "</object>"),
       "k\xC3\xA4se 1", 2},
      {"nested 100,000 deep",
       annotation(repeated("<a>", 100'000) + repeated("</a>", 100'000) + kDog), "", 2},
      {"open 100,000 deep", repeated("<a>", 100'000), "not XML"},
      {"entities that grow",
       "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]>" +
           annotation("<object><name>&b;</name>" + kBox + "</object>"),
       "&b; 1", 2},
      {"an entity that reads a file",
       "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>" +
           annotation("<object><name>&a;</name>" + kBox + "</object>"),
       "&a; 1", 2},
      {"a comment that stays open", "<annotation><!-- </annotation>", "not XML"},
      {"CDATA that stays open", "<annotation><![CDATA[ </annotation>", "not XML"},
      {"5 MB", annotation(std::string(5 << 20, ' ')), "at most 4194304 are allowed"},
      {"no <size>", "<annotation>" + kDog + "</annotation>", "0 x 0, picture 20 x 10", 2},
      {"another <size>",
       "<annotation><size><width>9</width><height>9</height></size>" + kDog + "</annotation>",
       "a.xml: 9 x 9, picture 20 x 10", 2},
      {"a <size> of 1e308",
       "<annotation><size><width>1e308</width><height>-1</height></size>" + kDog + "</annotation>",
       "1e+308 x -1, picture 20 x 10", 2},
      {"10,001 classes", annotation(many_classes), "at most 10000 class names are accepted", -1},
      {"no object", annotation(""), "", 1},
  };
}

/// ImageSets/Main/train.txt beside a.xml and b.xml with a dog each.
std::vector<Case> voc_lists() {
  const std::string plain = "no plain file name, skipped: train.txt:1: ";
  return {
      {"sound", "a\nb\n", "", 2},
      {"no last line end", "a\nb", "", 2},
      {"empty lines, CRLF, a mark", "\xEF\xBB\xBF\r\na\r\n\r\nb\r\n\r\n", "", 2},
      {"with flags", "a 1\nb -1\n", "", 2},
      {"with other flags", " a\t0 \r\nb.png   -1\r\n", "", 2},
      {"a blank in a name", "a b\nb\n", "without annotation, skipped: train.txt:1: \"a b\""},
      {"objects of a layout", "a 2\nb 13\n", "", 2},
      {"a photo of a series that is not there", "a b 2\nb\n",
       "without annotation, skipped: train.txt:1: \"a b 2\""},
      {"a word that is no number", "a b2\nb\n",
       "without annotation, skipped: train.txt:1: \"a b2\""},
      {"two flags", "a 1 1\nb\n", "without annotation, skipped: train.txt:1: \"a 1\""},
      {"a flag alone", "1\n-1\na\n", "train.txt:1: \"1\"; train.txt:2: \"-1\""},
      {"a parent and a flag", "../a 1\na\n", plain + "\"../a\""},
      {"a parent with an extension", "../a.png\na\n", plain + "\"../a.png\""},
      {"with extensions", "a.png\nb.xml\n", "", 2},
      {"empty", "", "no image is left", -1},
      {"twice", "a\na\n", "listed twice, taken once: train.txt:2: \"a\""},
      {"unknown", "a\nnothing\n", "without annotation, skipped: train.txt:2: \"nothing\""},
      {"a parent", "../a\na\n", plain + "\"../a\""},
      {"an absolute path", "/etc/passwd\na\n", plain + "\"/etc/passwd\""},
      {"dots", "..\na\n", "train.txt:1"},
      {"a drive", "C:\\pictures\\a\na\n", "train.txt:1"},
      {"a NUL", std::string("a\0b\nb\n", 6), "train.txt:1"},
      {"a long line", std::string(100'000, 'x') + "\na\n", "train.txt:1"},
      {"bytes", "\xFF\xFE\x01\na\n", "train.txt:1"},
  };
}

// --- COCO -----------------------------------------------------------------------------------

std::string coco(
    const std::string& annotations,
    const std::string& images = R"({"id": 7, "file_name": "a.png", "width": 20, "height": 10})",
    const std::string& categories = R"({"id": 18, "name": "dog"})") {
  return R"({"images": [)" + images + R"(], "annotations": [)" + annotations +
         R"(], "categories": [)" + categories + "]}";
}
std::string bbox(const std::string& numbers) {
  return R"({"id": 5, "image_id": 7, "category_id": 18, "bbox": )" + numbers + "}";
}
std::string image(const std::string& name) {
  return R"({"id": 7, "width": 20, "height": 10, "file_name": ")" + name + "\"}";
}
const std::string kCocoBox = bbox("[2, 1, 6, 8]");

std::vector<Case> coco_files() {
  const auto with = [](const std::string& record) { return coco(kCocoBox + ", " + record); };
  const std::string need = "no image_id, category_id or bbox of four numbers";
  const std::string sound = coco(kCocoBox),
                    area = "without area, skipped: x.json: annotation 5: dog [";
  return {
      {"sound", sound, ""},
      {"empty", "", "x.json: byte", -1},
      {"null", "null", "has lists \"images\" and \"annotations\"", -1},
      {"a list", "[]", "has lists", -1},
      {"cut", sound.substr(0, sound.size() / 2), "x.json: byte", -1},
      {"text behind", sound + "x", "x.json: byte", -1},
      {"a comma too many", coco(kCocoBox + ","), "x.json: byte", -1},
      {"a byte order mark", "\xEF\xBB\xBF" + sound, ""},
      {"CRLF", "{\r\n" + sound.substr(1) + "\r\n", ""},
      {"UTF-16", utf16(sound, false), "x.json: byte", -1},
      {"not UTF-8", coco(kCocoBox, image("a\xFF.png")), "x.json: byte", -1},
      {"half of a pair", coco(kCocoBox, image("\\ud800")), "x.json: byte", -1},
      {"100,000 deep", std::string(100'000, '['), "x.json: byte", -1},
      {"100,000 deep, closed",
       R"({"images": [], "annotations": [], "x": )" + std::string(100'000, '[') +
           std::string(100'000, ']') + "}",
       "no image is left", -1},
      {"no images", R"({"annotations": []})", "got none of \"images\"", -1},
      {"no annotations", R"({"images": []})", "got none of \"annotations\"", -1},
      {"images is an object", R"({"images": {}, "annotations": []})", "\"images\"", -1},
      {"no image", coco(kCocoBox, ""), "no image is left", -1},
      {"a number too large", coco(bbox("[1e999, 1, 6, 8]")), "x.json: byte", -1},
      {"NaN", coco(bbox("[NaN, 1, 6, 8]")), "x.json: byte", -1},
      {"three numbers", with(bbox("[2, 1, 6]")), "x.json: annotations 5: " + need},
      {"five numbers", with(bbox("[2, 1, 6, 8, 9]")), need},
      {"words", with(bbox("[\"2\", \"1\", \"6\", \"8\"]")), need},
      {"null inside", with(bbox("[2, 1, null, 8]")), need},
      {"an object for a box", with(bbox("{\"x\": 1}")), need},
      {"a number for a box", with(bbox("3")), need},
      {"lists in a list", with(bbox("[[2, 1, 6, 8]]")), need},
      {"no box", with(R"({"id": 5, "image_id": 7, "category_id": 18})"), need},
      {"no width", with(bbox("[2, 1, 0, 8]")), area + "2, 1, 0, 8] in a.png"},
      {"reversed", with(bbox("[8, 9, -6, -8]")),
       "corners are exchanged, skipped: x.json: annotation 5: dog [8, 9, -6, -8]"},
      {"1e308 wide", with(bbox("[2, 1, 1e308, 8]")), "partly outside, clipped", 2},
      {"1e308 away", with(bbox("[1e308, 1, 1e308, 8]")), "wholly outside, skipped"},
      {"-1e308 away", with(bbox("[-1e308, -1e308, 1e308, 1e308]")), "wholly outside, skipped"},
      {"a tenth outside", with(bbox("[-0.1, 0, 5, 5]")), "up to one pixel outside, clipped", 2},
      {"a null for a record", coco(kCocoBox + ", null, 5, []"), ""},
      {"no image_id", with(R"({"id": 5, "category_id": 18, "bbox": [2, 1, 6, 8]})"), need},
      {"an unknown image",
       with(R"({"id": 5, "image_id": 8, "category_id": 18, "bbox": [2, 1, 6, 8]})"),
       "without image, skipped: x.json: annotation 5: image id 8"},
      {"an unknown category",
       with(R"({"id": 5, "image_id": 7, "category_id": 1, "bbox": [2, 1, 6, 8]})"),
       "of other classes, skipped: x.json: annotation 5: category 1"},
      {"a category without name",
       coco(kCocoBox, image("a.png"), R"({"id": 18}, {"id": 18, "name": "dog"})"),
       "x.json: categories 18: no id or name"},
      {"no category", coco(kCocoBox, image("a.png"), ""), "category 18", 0},
      {"a category twice",
       coco(kCocoBox, image("a.png"), R"({"id": 18, "name": "dog"}, {"id": 18, "name": "cat"})"),
       ""},
      {"a category a line, 10,001 times",
       coco(kCocoBox, image("a.png"),
            repeated(R"({"id": 18, "name": "dog"}, )", 10'000) + R"({"id": 18, "name": "dog"})"),
       "at most 10000 categories are accepted, got 10001", -1},
      {"ids that are texts",
       coco(R"({"id": "x", "image_id": "7", "category_id": "18", "bbox": [2, 1, 6, 8]})"), ""},
      {"an id twice", coco(kCocoBox, image("a.png") + ", " + image("b.png")),
       "taken once: x.json: image id 7"},
      {"a picture that is not there",
       coco(kCocoBox, image("a.png") + R"(, {"id": 8, "file_name": "c.png"})"),
       "without image, skipped: x.json: c.png"},
      {"an empty name", coco(kCocoBox, image("")), "no image is left", -1},
      {"a folder for a name", coco(kCocoBox, image("images/")), "no image is left", -1},
      {"a parent", coco(kCocoBox, image("../outside.png")), "no image is left", -1},
      {"an absolute path", coco(kCocoBox, image("/etc/passwd")), "no image is left", -1},
      {"a parent of another kind", coco(kCocoBox, image("..\\\\outside.png")), "no image is left",
       -1},
      {"a parent on the way", coco(kCocoBox, image("images/../../outside.png")), "no image is left",
       -1},
      {"a NUL", coco(kCocoBox, image("a.png\\u0000.txt")), "no image is left", -1},
      {"a folder that is not there", coco(kCocoBox, image("vid/a.png")), ""},
      {"Windows' folder", coco(kCocoBox, image("images\\\\a.png")), ""},
      {"Windows' path", coco(kCocoBox, image("D:\\\\data\\\\a.png")), ""},
      {"a picture twice",
       coco(kCocoBox + R"(, {"id": 6, "image_id": 8, "category_id": 18, "bbox": [2, 1, 6, 8]})",
            image("a.png") + R"(, {"id": 8, "file_name": "./a.png", "width": 20, "height": 10})"),
       "second annotation(s) of a picture, skipped: x.json: image 8: ./a.png, the picture of image "
       "7"},
      {"another machine's path", coco(kCocoBox, image("/home/me/data/a.png")), ""},
  };
}

}  // namespace

TEST_CASE("malformed PASCAL VOC annotations", "[malformed][voc]") {
  const Folder folder;
  const auto read = [&](const char* split) {
    return outcome_of([&] {
      return std::make_unique<VocDataset>(folder.root / "voc", VocOptions{.split = split});
    });
  };
  folder.picture("voc/JPEGImages/a.png");
  for (const Case& c : voc_objects()) {
    folder.text("voc/Annotations/a.xml", annotation(c.text + kDog));
    check_case(c, read(""));
  }
  folder.picture("voc/JPEGImages/b.png");
  folder.text("voc/Annotations/b.xml", annotation(kDog));
  for (const Case& c : voc_files()) {
    folder.text("voc/Annotations/a.xml", c.text);
    check_case(c, read(""));
  }
  folder.text("voc/Annotations/a.xml", annotation(kDog));
  for (const Case& c : voc_lists()) {
    folder.text("voc/ImageSets/Main/train.txt", c.text);
    check_case(c, read("train"));
  }
}

TEST_CASE("malformed COCO annotations", "[malformed][coco]") {
  const Folder folder;
  for (const char* name : {"coco/images/a.png", "coco/images/b.png"}) folder.picture(name);
  for (const Case& c : coco_files()) {
    folder.text("coco/x.json", c.text);
    check_case(c, outcome_of([&] { return std::make_unique<CocoDataset>(folder.root / "coco"); }));
  }
}

TEST_CASE("the tables of malformed annotations are long enough", "[malformed]") {
  CHECK(voc_objects().size() + voc_files().size() + voc_lists().size() + coco_files().size() >=
        120);
}
