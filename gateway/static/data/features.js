// The optional features of this gateway, read once from its OpenAPI document.
import { Observable } from "./observable.js";
import { askFigures } from "./rest.js";

/** The features. `listing` has the names of the parameters of `GET /sessions`. */
class Features extends Observable {
  listing = new Set();

  async read() {
    try {
      const described = await askFigures("openapi.json");
      const parameters = described.paths["/sessions"].get.parameters ?? [];
      const named = (each) => each.name ?? described.components.parameters[each.$ref?.split("/").at(-1)]?.name;
      this.listing = new Set(parameters.map(named).filter(Boolean));
      this.changed();
    } catch {
      // the page continues with what every gateway can do
    }
  }
}

export const features = new Features();
