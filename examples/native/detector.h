/* Image in, boxes out, around any runtime: a PPM file, the letterbox, and non-maximum suppression, as in seyolo.
 *
 * C99 and C++, with nothing but the standard library. A fitted image differs from Python's by at most one level of
 * 255, since OpenCV rounds bilinear interpolation in its own way.
 */
#ifndef SEYOLO_DETECTOR_H
#define SEYOLO_DETECTOR_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int width, height; unsigned char *rgb; } Image;
typedef struct { int left, top, width, height; } Placement; /* of the resized image in the input */
typedef struct { float box[4], score; int class_id; } Found; /* left, top, right, bottom in pixels of the image */

static void *allocate(size_t bytes) {
  void *memory = malloc(bytes ? bytes : 1);
  if (!memory) { fprintf(stderr, "out of memory\n"); exit(1); }
  return memory;
}

/* A binary PPM without comments, as `convert photo.jpg photo.ppm` and OpenCV write it; exits if it is none. */
static Image read_ppm(const char *path) {
  FILE *file = fopen(path, "rb");
  Image image = {0, 0, NULL};
  int levels = 0;
  if (!file || fscanf(file, "P6 %d %d %d", &image.width, &image.height, &levels) != 3 || levels != 255 ||
      fgetc(file) == EOF || image.width < 1 || image.height < 1 || image.width > 30000 || image.height > 30000) {
    fprintf(stderr, "%s: not a binary PPM (P6, 255 levels)\n", path);
    exit(2);
  }
  size_t bytes = 3 * (size_t)image.width * image.height;
  image.rgb = (unsigned char *)allocate(bytes);
  if (fread(image.rgb, 1, bytes, file) != bytes) { fprintf(stderr, "%s: ends too early\n", path); exit(2); }
  fclose(file);
  return image;
}

/* ---- from the image to the input ---- */

static Image averaged(Image image, int width, int height) { /* frees the image it gets, as `bilinear` does */
  int across = image.width / width, down = image.height / height;
  if (across == 1 && down == 1) return image;
  Image out = {width, height, (unsigned char *)allocate(3 * (size_t)width * height)};
  for (int y = 0; y < height; y++)
    for (int x = 0; x < 3 * width; x++) {
      int sum = 0;
      for (int dy = 0; dy < down; dy++)
        for (int dx = 0; dx < across; dx++)
          sum += image.rgb[3 * ((size_t)(y * down + dy) * image.width + x / 3 * across + dx) + x % 3];
      out.rgb[3 * (size_t)y * width + x] = (unsigned char)floor((double)sum / (across * down) + 0.5);
    }
  free(image.rgb);
  return out;
}

static void sample(int index, int count, int size, int *first, int *second, double *share) {
  double position = fmin(fmax((index + 0.5) * size / count - 0.5, 0), size - 1);
  *first = (int)position;
  *second = *first + 1 < size ? *first + 1 : *first;
  *share = position - *first;
}

static Image bilinear(Image image, int width, int height) {
  if (image.width == width && image.height == height) return image;
  Image out = {width, height, (unsigned char *)allocate(3 * (size_t)width * height)};
  for (int y = 0; y < height; y++) {
    int top, bottom, left, right;
    double down, across;
    sample(y, height, image.height, &top, &bottom, &down);
    const unsigned char *above = image.rgb + 3 * (size_t)top * image.width;
    const unsigned char *below = image.rgb + 3 * (size_t)bottom * image.width;
    for (int x = 0; x < width; x++) {
      sample(x, width, image.width, &left, &right, &across);
      for (int c = 0; c < 3; c++) {
        double upper = above[3 * left + c] * (1 - across) + above[3 * right + c] * across;
        double lower = below[3 * left + c] * (1 - across) + below[3 * right + c] * across;
        out.rgb[3 * ((size_t)y * width + x) + c] = (unsigned char)floor(upper * (1 - down) + lower * down + 0.5);
      }
    }
  }
  free(image.rgb);
  return out;
}

static int factor(int source, int target) { /* the largest power of two not above source / target */
  int power = 1;
  while (2 * power <= source / target) power *= 2;
  return power;
}

/* The input of a network, planes of RGB in [0, 1]. The image's pixels are freed; its size is still needed. */
static float *fit(Image image, int width, int height, int is_stretched, float pad, Placement *placement) {
  double scale = fmin((double)height / image.height, (double)width / image.width);
  int inner_width = is_stretched ? width : (int)fmax(1, nearbyint(image.width * scale));
  int inner_height = is_stretched ? height : (int)fmax(1, nearbyint(image.height * scale));
  Placement at = {(width - inner_width) / 2, (height - inner_height) / 2, inner_width, inner_height};
  int columns = image.width, rows = image.height;
  while (columns % 2 == 0 && rows % 2 == 0 && columns >= 4 * inner_width && rows >= 4 * inner_height)
    image = averaged(image, columns /= 2, rows /= 2);
  image = bilinear(image, inner_width * factor(columns, inner_width), inner_height * factor(rows, inner_height));
  image = averaged(image, inner_width, inner_height);
  size_t plane = (size_t)width * height;
  float *input = (float *)allocate(3 * plane * sizeof(float));
  for (size_t i = 0; i < 3 * plane; i++) input[i] = pad / 255.0f;
  for (int y = 0; y < inner_height; y++)
    for (int x = 0; x < inner_width; x++)
      for (int c = 0; c < 3; c++)
        input[c * plane + (size_t)(y + at.top) * width + x + at.left] =
            image.rgb[3 * ((size_t)y * inner_width + x) + c] / 255.0f;
  free(image.rgb);
  *placement = at;
  return input;
}

/* ---- from the output to boxes ---- */

static int by_score(const void *a, const void *b) {
  float one = ((const Found *)a)->score, other = ((const Found *)b)->score;
  return (one < other) - (one > other);
}

static float overlap(const float *a, const float *b) {
  float width = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), height = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
  float shared = fmaxf(width, 0) * fmaxf(height, 0);
  float both = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared;
  return both > 0 ? shared / both : 0;
}

static float clipped(float value, float most) { return fminf(fmaxf(value, 0), most); }

/* `raw` has rows of cx, cy, w, h in pixels of the input, objectness, class probabilities; returns how many boxes. */
static int detections(const float *raw, int rows, int columns, Placement at, int width, int height,
                      float confidence, float iou, Found **out) {
  int count = 0, kept = 0;
  Found *found = (Found *)allocate(sizeof(Found) * (size_t)rows * (columns - 5));
  for (int row = 0; row < rows; row++, raw += columns)
    for (int id = 0; id < columns - 5; id++) {
      float score = raw[4] * raw[5 + id];
      if (!(score >= confidence)) continue;
      Found one = {{raw[0] - raw[2] / 2, raw[1] - raw[3] / 2, raw[0] + raw[2] / 2, raw[1] + raw[3] / 2}, score, id};
      found[count++] = one;
    }
  qsort(found, (size_t)count, sizeof(Found), by_score);
  for (int i = 0; i < count && kept < 300; i++) {
    int is_best = 1;
    for (int j = 0; j < kept && is_best; j++)
      is_best = found[j].class_id != found[i].class_id || overlap(found[j].box, found[i].box) <= iou;
    if (is_best) found[kept++] = found[i];
  }
  int visible = 0;
  for (int i = 0; i < kept; i++) {
    float *box = found[i].box;
    for (int side = 0; side < 4; side++) {
      int shift = side % 2 ? at.top : at.left, inner = side % 2 ? at.height : at.width;
      float most = (float)(side % 2 ? height : width);
      box[side] = clipped((box[side] - shift) * most / inner, most);
    }
    if (box[2] > box[0] && box[3] > box[1]) found[visible++] = found[i];
  }
  *out = found;
  return visible;
}

static void print_found(const Found *found, int count) {
  for (int i = 0; i < count; i++)
    printf("%d %.3f %.1f %.1f %.1f %.1f\n", found[i].class_id, found[i].score, found[i].box[0], found[i].box[1],
           found[i].box[2], found[i].box[3]);
}

#endif
