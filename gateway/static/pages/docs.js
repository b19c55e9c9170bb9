// The API reference: Swagger UI on this gateway's OpenAPI document, to read and to try it out.
import { credential } from "../data/credential.js";

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const reference = window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null, // it would ask another host
  onComplete: () => {
    if (credential.token !== null) reference.preauthorizeApiKey("bearer", credential.token);
  },
});
