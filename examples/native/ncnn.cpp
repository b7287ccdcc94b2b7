/* A detector on ncnn, in C++: prints class, score, left, top, right, bottom of each box.
 *
 *   seyolo export slim.safetensors model.ncnn.param
 *   c++ -std=c++17 -O2 -fopenmp -I$NCNN/include/ncnn ncnn.cpp $NCNN/lib/libncnn.a -o detect
 *   ./detect model.ncnn photo.ppm 320 320 0.25         (reads model.ncnn.param and model.ncnn.bin)
 *
 * $NCNN is an installed or unpacked ncnn.
 */
#include <net.h>

#include <string>

#include "detector.h"

int main(int argc, char **argv) {
  if (argc != 6) { fprintf(stderr, "usage: %s MODEL IMAGE.ppm WIDTH HEIGHT CONFIDENCE\n", argv[0]); return 2; }
  const int width = atoi(argv[3]), height = atoi(argv[4]);
  const std::string model = argv[1];
  ncnn::Net net;
  net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = false;  // faster with them, less exact
  if (net.load_param((model + ".param").c_str()) || net.load_model((model + ".bin").c_str())) return 2;

  Placement placement;
  Image image = read_ppm(argv[2]);
  float *input = fit(image, width, height, 0, 114, &placement);
  ncnn::Mat images(width, height, 3);
  for (int c = 0; c < 3; c++)  // ncnn may leave room between its planes
    memcpy(images.channel(c), input + (size_t)c * width * height, sizeof(float) * width * height);
  ncnn::Extractor extractor = net.create_extractor();
  extractor.input("in0", images);
  ncnn::Mat raw;  // height: boxes, width: 5 + classes
  if (extractor.extract("out0", raw)) { fprintf(stderr, "%s: cannot run\n", argv[1]); return 2; }

  Found *found;
  const int count = detections(raw.row(0), raw.h, raw.w, placement, image.width, image.height,
                               static_cast<float>(atof(argv[5])), 0.6f, &found);
  print_found(found, count);
  free(found);
  free(input);
  return 0;
}
