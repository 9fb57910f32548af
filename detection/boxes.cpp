#include "detection/boxes.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/autograd.h"
#include "core/check.h"
#include "core/parallel.h"

namespace boxgrad::detection {
namespace {

constexpr std::size_t kLanes = 8;  // numbers in a vector register (16 with AVX-512)

/// The coordinates of many boxes, one array each, so that a loop over boxes reads whole vectors.
/// The arrays are padded with empty boxes to a multiple of kLanes.
struct Columns {
  explicit Columns(std::span<const Scalar> boxes) {
    const std::size_t n = boxes.size() / 4;
    for (auto* column : {&x1, &y1, &x2, &y2, &area})
      column->resize((n + kLanes - 1) / kLanes * kLanes);
    for (std::size_t i = 0; i < n; ++i) {
      x1[i] = boxes[4 * i], y1[i] = boxes[4 * i + 1];
      x2[i] = boxes[4 * i + 2], y2[i] = boxes[4 * i + 3];
      area[i] = (x2[i] - x1[i]) * (y2[i] - y1[i]);
    }
  }
  std::vector<Scalar> x1, y1, x2, y2, area;
};

/// iou[i, j] of `rows` boxes, four numbers each, with the first n boxes of `columns`. The inner
/// loop is free of branches, so that the compiler turns it into vector code. It runs over whole
/// steps: the numbers that this writes into the next row are overwritten when that row's turn
/// comes, and the short rows of "anchors against a few truths" need no slow remainder (1.6 times
/// faster for n = 20).
void iou_rows(const Scalar* boxes, std::size_t rows, const Columns& columns, std::size_t n,
              Scalar* __restrict iou) {
  const Scalar* __restrict x1 = columns.x1.data();
  const Scalar* __restrict y1 = columns.y1.data();
  const Scalar* __restrict x2 = columns.x2.data();
  const Scalar* __restrict y2 = columns.y2.data();
  const Scalar* __restrict area = columns.area.data();
  for (std::size_t i = 0; i < rows; ++i, iou += n) {
    const Scalar* box = boxes + 4 * i;
    const Scalar ax1 = box[0], ay1 = box[1], ax2 = box[2], ay2 = box[3];
    const Scalar area_a = (ax2 - ax1) * (ay2 - ay1);
    const std::size_t end = std::min(columns.x1.size(), (rows - i) * n);
    for (std::size_t j = 0; j < end; ++j) {
      const Scalar w = std::max(Scalar{0}, std::min(ax2, x2[j]) - std::max(ax1, x1[j]));
      const Scalar h = std::max(Scalar{0}, std::min(ay2, y2[j]) - std::max(ay1, y1[j]));
      const Scalar intersection = w * h;
      const Scalar joined = area_a + area[j] - intersection;
      const Scalar ratio = intersection / joined;
      iou[j] = joined > 0 ? ratio : Scalar{0};
    }
  }
}

/// Centre and size.
struct CentreBox {
  Scalar cx, cy, w, h;
};
CentreBox centre_form(const Scalar* box) {
  const Scalar w = box[2] - box[0], h = box[3] - box[1];
  return {box[0] + w / 2, box[1] + h / 2, w, h};
}

void check_has_area(const Scalar* box, std::size_t row, const char* name) {
  check(box[2] - box[0] > 0 && box[3] - box[1] > 0, "encode_boxes: ", name,
        " must have width and height > 0, got [", box[0], ", ", box[1], ", ", box[2], ", ", box[3],
        "] in row ", row);
}

void check_weights(const BoxWeights& weights, const char* op) {
  for (const Scalar w : weights) check(w > 0, op, ": weights must be > 0, got ", w);
}

constexpr std::int64_t kBoxGrain = 4096;  // boxes per chunk of a threaded loop

}  // namespace

void check_boxes(const Tensor& boxes, const char* op, const char* name) {
  check(boxes.defined() && boxes.rank() == 2 && boxes.size(1) == 4, op, ": ", name,
        " must have shape [N, 4] as [x1, y1, x2, y2], got ",
        boxes.defined() ? boxes.shape().to_string() : "an undefined tensor");
}

Tensor box_area(const Tensor& boxes) {
  check_boxes(boxes, "box_area", "boxes");
  std::vector<Scalar> area = Columns(boxes.data()).area;
  area.resize(static_cast<std::size_t>(boxes.size(0)));
  return Tensor({boxes.size(0)}, area);
}

Tensor box_iou(const Tensor& a, const Tensor& b) {
  check_boxes(a, "box_iou", "a");
  check_boxes(b, "box_iou", "b");
  const std::int64_t rows = a.size(0), columns = b.size(0);
  Tensor iou = Tensor::empty({rows, columns});
  if (iou.numel() == 0) return iou;

  const Columns c(b.data());
  const Scalar* boxes = std::as_const(a).data().data();
  Scalar* out = iou.data().data();
  const std::int64_t grain = std::max<std::int64_t>(1, 32768 / columns);  // about 128 KiB of output
  parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    iou_rows(boxes + 4 * begin, static_cast<std::size_t>(end - begin), c,
             static_cast<std::size_t>(columns), out + begin * columns);
  });
  return iou;
}

Tensor clip_boxes_to_image(const Tensor& boxes, Scalar width, Scalar height) {
  check_boxes(boxes, "clip_boxes_to_image", "boxes");
  check(width >= 0 && height >= 0, "clip_boxes_to_image: image size must be >= 0, got ", width,
        " x ", height);
  Tensor clipped = boxes.clone();
  const auto v = clipped.data();
  for (std::size_t i = 0; i < v.size(); ++i)
    v[i] = std::clamp(v[i], Scalar{0}, i % 2 == 0 ? width : height);
  return clipped;
}

Tensor flip_boxes(const Tensor& boxes, Scalar image_width) {
  check_boxes(boxes, "flip_boxes", "boxes");
  Tensor flipped = boxes.clone();
  const auto v = flipped.data();
  for (std::size_t i = 0; i < v.size(); i += 4) {
    const Scalar x1 = v[i];
    v[i] = image_width - v[i + 2];
    v[i + 2] = image_width - x1;
  }
  return flipped;
}

Tensor encode_boxes(const Tensor& truths, const Tensor& anchors, const BoxWeights& weights) {
  check_boxes(truths, "encode_boxes", "truths");
  check_boxes(anchors, "encode_boxes", "anchors");
  check(truths.shape() == anchors.shape(), "encode_boxes: truths must have anchors' shape ",
        anchors.shape(), ", got ", truths.shape());
  check_weights(weights, "encode_boxes");

  Tensor offsets = Tensor::empty(anchors.shape());
  const auto g = truths.data(), p = anchors.data();
  const auto t = offsets.data();
  for (std::size_t i = 0; i < t.size(); i += 4) {
    check_has_area(&g[i], i / 4, "truth");
    check_has_area(&p[i], i / 4, "anchor");
    const CentreBox truth = centre_form(&g[i]), anchor = centre_form(&p[i]);
    t[i] = weights[0] * (truth.cx - anchor.cx) / anchor.w;
    t[i + 1] = weights[1] * (truth.cy - anchor.cy) / anchor.h;
    t[i + 2] = weights[2] * std::log(truth.w / anchor.w);
    t[i + 3] = weights[3] * std::log(truth.h / anchor.h);
  }
  return offsets;
}

Tensor decode_boxes(const Tensor& offsets, const Tensor& anchors, const BoxWeights& weights) {
  check_boxes(anchors, "decode_boxes", "anchors");
  const std::int64_t num_anchors = anchors.size(0);
  check(offsets.rank() >= 2 && offsets.size(-1) == 4 && offsets.size(-2) == num_anchors,
        "decode_boxes: offsets must have shape [..., ", num_anchors, ", 4] for anchors of shape ",
        anchors.shape(), ", got ", offsets.shape());
  check_weights(weights, "decode_boxes");

  Tensor boxes = Tensor::empty(offsets.shape());
  const auto t = offsets.data(), p = anchors.data();
  const auto y = boxes.data();
  parallel_for(boxes.numel() / 4, kBoxGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const CentreBox anchor = centre_form(&p[4 * (i % num_anchors)]);
      const Scalar* offset = &t[4 * i];
      const Scalar cx = offset[0] / weights[0] * anchor.w + anchor.cx;
      const Scalar cy = offset[1] / weights[1] * anchor.h + anchor.cy;
      const Scalar w = std::exp(std::min(offset[2] / weights[2], kMaxLogScale)) * anchor.w;
      const Scalar h = std::exp(std::min(offset[3] / weights[3], kMaxLogScale)) * anchor.h;
      y[4 * i] = cx - w / 2, y[4 * i + 1] = cy - h / 2;
      y[4 * i + 2] = cx + w / 2, y[4 * i + 3] = cy + h / 2;
    }
  });

  return from_op("decode_boxes", boxes, {offsets},
                 [doffsets = offsets.grad_slot(), offsets = offsets.detach(),
                  anchors = anchors.detach(), weights, num_anchors](const Tensor& dboxes) {
                   const auto t = offsets.data(), p = anchors.data(), dy = dboxes.data();
                   // Element k % 4 of an offset moves (0, 1) the centre or (2, 3) the size along
                   // axis k % 2, and with it the low and the high corner of that axis.
                   doffsets->accumulate([&](std::size_t k) {
                     const std::size_t box = k / 4, axis = k % 2;
                     const Scalar* anchor = &p[4 * (box % static_cast<std::size_t>(num_anchors))];
                     const Scalar size = anchor[axis + 2] - anchor[axis];
                     const Scalar dlow = dy[4 * box + axis], dhigh = dy[4 * box + axis + 2];
                     if (k % 4 < 2) return (dlow + dhigh) * size / weights[axis];
                     const Scalar log_scale = t[k] / weights[axis + 2];
                     if (log_scale > kMaxLogScale) return Scalar{0};
                     return (dhigh - dlow) / 2 * std::exp(log_scale) * size / weights[axis + 2];
                   });
                 });
}

Tensor repeat_boxes(const Tensor& boxes, std::int64_t times) {
  check_boxes(boxes, "repeat_boxes", "boxes");
  check(times >= 0, "repeat_boxes: times must be >= 0, got ", times);
  Tensor result = Tensor::empty({boxes.size(0) * times, 4});
  auto to = result.data().begin();
  for (std::int64_t r = 0; r < boxes.size(0); ++r)
    for (std::int64_t k = 0; k < times; ++k) to = std::copy_n(boxes.data().begin() + 4 * r, 4, to);
  return result;
}

}  // namespace boxgrad::detection
