// The optional features of this gateway, read once from its OpenAPI document.
import { Observable } from "./observable.js";
import { askFigures } from "./rest.js";

/** The features. `listing` has the names of the parameters of `GET /sessions`; it is final once `known` is true. */
class Features extends Observable {
  listing = new Set();
  known = false;

  async read() {
    try {
      const described = await askFigures("openapi.json");
      const parameters = described.paths["/sessions"].get.parameters ?? [];
      const named = (each) => each.name ?? described.components.parameters[each.$ref?.split("/").at(-1)]?.name;
      this.listing = new Set(parameters.map(named).filter(Boolean));
    } catch {
      // the page continues with what every gateway can do
    }
    this.known = true;
    this.changed();
  }
}

export const features = new Features();
