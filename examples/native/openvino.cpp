/* A detector on OpenVINO, in C++: prints class, score, left, top, right, bottom of each box.
 *
 *   c++ -std=c++17 -O2 -I$OV/include openvino.cpp $OV/libs/libopenvino.so.* -Wl,-rpath,$OV/libs -o detect
 *   ./detect model.onnx photo.ppm 0.25                 (or model.xml)
 *
 * $OV is the folder of the Python package openvino, or an unpacked release (whose libraries lie elsewhere).
 */
#include <openvino/openvino.hpp>

#include "detector.h"

int main(int argc, char **argv) try {
  if (argc != 4) { fprintf(stderr, "usage: %s MODEL IMAGE.ppm CONFIDENCE\n", argv[0]); return 2; }
  ov::Core core;
  // Some processors would compute in bfloat16 by default.
  ov::CompiledModel model = core.compile_model(argv[1], "CPU", ov::hint::inference_precision(ov::element::f32));
  const ov::Shape size = model.input().get_shape();  // 1, 3, height, width
  const int height = static_cast<int>(size[2]), width = static_cast<int>(size[3]);

  Placement placement;
  Image image = read_ppm(argv[2]);
  float *input = fit(image, width, height, 0, 114, &placement);
  ov::InferRequest request = model.create_infer_request();
  request.set_input_tensor(ov::Tensor(ov::element::f32, size, input));
  request.infer();

  const ov::Tensor raw = request.get_output_tensor();  // 1, boxes, 5 + classes
  Found *found;
  const int count = detections(raw.data<float>(), static_cast<int>(raw.get_shape()[1]),
                               static_cast<int>(raw.get_shape()[2]), placement, image.width, image.height,
                               static_cast<float>(atof(argv[3])), 0.6f, &found);
  print_found(found, count);
  free(found);
  free(input);
  return 0;
} catch (const std::exception &error) {
  fprintf(stderr, "%s\n", error.what());
  return 2;
}
