/* A detector on ONNX Runtime, in C (and C++): prints class, score, left, top, right, bottom of each box.
 *
 *   cc -O2 -I$ORT/include onnxruntime.c -L$ORT/lib -lonnxruntime -lm -o detect
 *   ./detect model.onnx photo.ppm 320 320 0.25
 *
 * $ORT is an unpacked release of ONNX Runtime. The model is letterboxed (`seyolo info model.onnx` tells the size).
 */
#include <onnxruntime_c_api.h>

#include "detector.h"

static const OrtApi *api;

static void check(OrtStatus *status) {
  if (!status) return;
  fprintf(stderr, "%s\n", api->GetErrorMessage(status));
  api->ReleaseStatus(status);
  exit(2);
}

int main(int argc, char **argv) {
  if (argc != 6) { fprintf(stderr, "usage: %s MODEL.onnx IMAGE.ppm WIDTH HEIGHT CONFIDENCE\n", argv[0]); return 2; }
  int width = atoi(argv[3]), height = atoi(argv[4]);
  api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  OrtEnv *env;
  OrtSessionOptions *options;
  OrtSession *session;
  check(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "detect", &env));
  check(api->CreateSessionOptions(&options));
  check(api->CreateSession(env, argv[1], options, &session));

  Placement placement;
  Image image = read_ppm(argv[2]);
  float *input = fit(image, width, height, 0, 114, &placement);

  OrtMemoryInfo *memory;
  OrtValue *images, *raw = NULL;
  int64_t shape[4] = {1, 3, height, width};
  size_t bytes = 3 * (size_t)width * height * sizeof(float);
  check(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  check(api->CreateTensorWithDataAsOrtValue(memory, input, bytes, shape, 4, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &images));
  const char *inputs[] = {"images"}, *outputs[] = {"raw"};
  check(api->Run(session, NULL, inputs, (const OrtValue *const *)&images, 1, outputs, 1, &raw));

  float *values;
  OrtTensorTypeAndShapeInfo *info;
  check(api->GetTensorMutableData(raw, (void **)&values));
  check(api->GetTensorTypeAndShape(raw, &info));
  check(api->GetDimensions(info, shape, 3)); /* 1, boxes, 5 + classes */
  Found *found;
  int count = detections(values, (int)shape[1], (int)shape[2], placement, image.width, image.height,
                         (float)atof(argv[5]), 0.6f, &found);
  print_found(found, count);

  free(found);
  free(input);
  api->ReleaseTensorTypeAndShapeInfo(info);
  api->ReleaseValue(raw);
  api->ReleaseValue(images);
  api->ReleaseMemoryInfo(memory);
  api->ReleaseSession(session);
  api->ReleaseSessionOptions(options);
  api->ReleaseEnv(env);
  return 0;
}
