// Texts to begin with.

export const EXAMPLES = {
  ner: [
    "Mutations of the BRCA1 gene are found in families with breast and ovarian cancer.",
    "He was diagnosed with Duchenne muscular dystrophy at the age of four. His sister has no symptoms of the disease.",
    "Deficiency of this enzyme causes Lesch-Nyhan syndrome, a severe neurological disorder with hyperuricemia.",
  ],
  pos: [
    "The old man the boat while their children sail paper ships.",
    "Time flies like an arrow; fruit flies like a banana.",
    "Visiting relatives can be boring.",
  ],
};
