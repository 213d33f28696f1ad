// Inspect one frame with ONNX Runtime. Package: Microsoft.ML.OnnxRuntime.
// Usage: OnnxRuntime BUNDLE FRAME.rgb
// FRAME.rgb holds height * width * 3 bytes: rows from top to bottom, RGB.
using System;
using System.IO;
using System.Linq;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

var bundle = args[0];
using var manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(bundle, "manifest.json")));
var input = manifest.RootElement.GetProperty("input");
int height = input.GetProperty("height").GetInt32(), width = input.GetProperty("width").GetInt32();

// The thresholds of the export. local.json overrides them on the device, see docs/integrate.md.
var decision = manifest.RootElement.GetProperty("decision");
double threshold = decision.GetProperty("threshold").GetDouble();
double span = decision.GetProperty("maximum").GetDouble() - decision.GetProperty("minimum").GetDouble();
double range = Math.Max(span, decision.GetProperty("scale").GetDouble());

byte[] pixels = File.ReadAllBytes(args[1]);
if (pixels.Length != height * width * 3)
    throw new InvalidDataException($"got {pixels.Length} bytes; expected {height * width * 3}");

using var session = new InferenceSession(Path.Combine(bundle, "model.onnx"));
var frame = new DenseTensor<byte>(pixels, new[] { 1, height, width, 3 });
using var results = session.Run(new[] { NamedOnnxValue.CreateFromTensor("frames", frame) });
float score = results.First(result => result.Name == "score").AsEnumerable<float>().First();

// A picture is anomalous if its score is above the threshold, not at it.
string label = score > threshold ? "anomalous" : "normal";
double normalised = Math.Clamp((score - threshold) / range + 0.5, 0.0, 1.0); // for display only
Console.WriteLine($"{label} {score:R} {normalised:R}");
